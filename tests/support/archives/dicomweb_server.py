"""A DICOMweb server over made-up studies, with faults: QIDO-RS and WADO-RS as far as DoseQR speaks them."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydicom import dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from simulator import content
from simulator.archive.model import ArchiveMatch, Study, StudyList
from simulator.behaviour import Behaviour
from simulator.query.keys import ATTRIBUTES, LEVELS, belongs
from simulator.query.search import Search, find

_LEVELS = {"studies": "STUDY", "series": "SERIES", "instances": "IMAGE"}
_PATH_KEYS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
#: What is returned though nobody requests it (PS3.18 tables 10.6.3-3 to 10.6.3-5).
_RETURNED_ANYWAY = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ModalitiesInStudy",
    "Modality",
    "SeriesDescription",
    "SeriesNumber",
    "SOPClassUID",
    "InstanceNumber",
)
_BOUNDARY = "frontier"
_DRIP_BYTES, _DRIP_S, _HUGE_BYTES = 200, 0.005, 1 << 20


@dataclass(frozen=True)
class WebFaults:
    """What is wrong with a server. `kind` strikes at `strikes` requests for `resources`, after `spared`."""

    #: One of the functions at the end of this module, or a status.
    kind: str | int = ""
    resources: tuple[str, ...] = ("studies",)
    spared: int = 0
    strikes: int = 1 << 30
    headers: Mapping[str, str] = field(default_factory=dict)

    #: Matches of a page whatever is requested, and its status and headers while there are more.
    most_per_page: int | None = None
    more_status: int = 200
    more_headers: Mapping[str, str] = field(default_factory=dict)
    heeds_limit: bool = True
    heeds_offset: bool = True
    refuses_offset: bool = False
    refuses_limits_above: int | None = None
    #: A query that names one of these is refused.
    refused_keys: frozenset[str] = frozenset()
    refusal_status: int = 400
    heeds_includefield: bool = True
    double: bool = False
    #: Keywords whose values are returned as bulk data, and those that are left out of the first match.
    as_bulk_data: frozenset[str] = frozenset()
    left_out_once: frozenset[str] = frozenset()
    #: Authorization headers that are accepted; None: all.
    accepted: Callable[[str], bool] | None = None


@dataclass(frozen=True)
class WebReply:
    """A response before it is sent; `cut`: bytes after which the connection is closed."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: int | None = None
    chunked: bool = False
    drips: bool = False


class DicomwebServer:
    """Serves in threads of its own until it is stopped."""

    def __init__(self, studies: Iterable[Study], faults: WebFaults) -> None:
        self.archive = StudyList(studies)
        self.faults = faults
        #: Path and query of all requests.
        self.requests: list[str] = []
        self.tokens = 0
        self._struck: dict[str, int] = {}
        self._lock = threading.Lock()
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 20

            def do_GET(self) -> None:
                served.serve(self)

            def do_POST(self) -> None:
                served.grant(self)

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address below which /studies lies."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/dicom-web"

    def stop(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def grant(self, handler: BaseHTTPRequestHandler) -> None:
        """Grant a token to any client (RFC 6749 4.4)."""
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.tokens += 1
        token = {"access_token": f"token-{self.tokens}", "expires_in": 3600}
        _send(handler, WebReply(200, {"Content-Type": "application/json"}, json.dumps(token).encode()))

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Respond to a GET."""
        parts = urlsplit(handler.path)
        path = [part for part in parts.path.removeprefix("/dicom-web").split("/") if part]
        resource = "retrieve" if "multipart" in handler.headers.get("Accept", "") else path[-1]
        with self._lock:
            self.requests.append(handler.path)
            number = self._struck[resource] = self._struck.get(resource, 0) + 1
        faults = self.faults
        if faults.accepted and not faults.accepted(handler.headers.get("Authorization", "")):
            _send(handler, WebReply(401, {}, b""))
            return
        if resource == "retrieve":
            reply = self._objects(path)
        else:
            reply = self._matches(_LEVELS[path[-1]], path, parse_qsl(parts.query))
        if resource in faults.resources and faults.spared < number <= faults.spared + faults.strikes:
            reply = _spoiled(reply, faults)
        _send(handler, reply)

    # QIDO-RS

    def _matches(self, level: str, path: list[str], parameters: list[tuple[str, str]]) -> WebReply:
        keys = _keys_of(path[:-1])
        included = [value for name, value in parameters if name == "includefield"]
        numbers = {name: int(value) for name, value in parameters if name in ("limit", "offset")}
        faults = self.faults
        for name, value in parameters:
            if name in ATTRIBUTES:
                keys[name] = tuple(value.replace("\\", ",").split(","))
        if faults.refused_keys.intersection([*keys, *included]):
            return WebReply(faults.refusal_status, {}, b"")
        if faults.refuses_limits_above is not None and numbers.get("limit", 0) > faults.refuses_limits_above:
            return WebReply(400, {}, b"")
        if faults.refuses_offset and "offset" in numbers:
            return WebReply(400, {}, b"")
        found = list(find(Search(level, keys), self.archive, Behaviour()))
        if faults.double:
            found = [match for match in found for _ in range(2)]
        begin = numbers.get("offset", 0) if faults.heeds_offset else 0
        limits = [numbers.get("limit")] if faults.heeds_limit else []
        limits.append(faults.most_per_page)
        end = begin + min((limit for limit in limits if limit is not None), default=len(found))
        more = end < len(found)
        page = [self._match(match, level, included) for match in found[begin:end]]
        if page:
            for keyword in faults.left_out_once if level == "STUDY" else ():
                page[0].pop(f"{ATTRIBUTES[keyword].tag:08X}", None)
        headers = {"Content-Type": "application/dicom+json"} | (dict(faults.more_headers) if more else {})
        return WebReply(faults.more_status if more else 200, headers, json.dumps(page).encode())

    def _match(self, match: ArchiveMatch, level: str, included: list[str]) -> dict[str, Any]:
        always = _PATH_KEYS[: LEVELS.index(level)]
        wanted = dict.fromkeys([*always, *(included if self.faults.heeds_includefield else _RETURNED_ANYWAY)])
        elements: dict[str, Any] = {}
        for keyword in wanted:
            attribute = ATTRIBUTES.get(keyword)
            if attribute is None or not belongs(attribute, level):
                continue
            element: dict[str, Any] = {"vr": attribute.vr}
            if keyword in self.faults.as_bulk_data:
                element["BulkDataURI"] = f"{self.url}/bulk/1"
            else:
                values = list(attribute.get(match) or ())
                element |= {"Value": [_json_value(attribute.vr, value) for value in values]} if values else {}
            elements[f"{attribute.tag:08X}"] = element
        return elements

    # WADO-RS

    def _objects(self, path: list[str]) -> WebReply:
        found = list(find(Search("IMAGE", _keys_of(path)), self.archive, Behaviour()))
        if not found:
            return WebReply(404, {}, b"")
        return multipart([part10(match) for match in found])


def _keys_of(path: list[str]) -> dict[str, tuple[str, ...]]:
    return {keyword: (uid,) for keyword, uid in zip(_PATH_KEYS, path[1::2], strict=False)}


def _json_value(vr: str, value: str) -> Any:
    if vr == "PN":
        return {"Alphabetic": value}
    return int(value) if vr == "IS" else value


def part10(match: ArchiveMatch) -> bytes:
    """Return an object as a DICOM file."""
    data_set = content.build(match)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        data_set.SOPClassUID,
        data_set.SOPInstanceUID,
    )
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.file_meta = meta
    buffer = BytesIO()
    dcmwrite(buffer, data_set, enforce_file_format=True)
    return buffer.getvalue()


def multipart(files: Iterable[bytes], boundary: str = _BOUNDARY) -> WebReply:
    """Return files as one response (PS3.18 8.6.1.2)."""
    begin = f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join(begin + file for file in files) + f"\r\n--{boundary}--\r\n".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return WebReply(200, {"Content-Type": kind}, body)


def _send(handler: BaseHTTPRequestHandler, reply: WebReply) -> None:
    try:
        handler.send_response(reply.status)
        framing = (
            ("Transfer-Encoding", "chunked") if reply.chunked else ("Content-Length", str(len(reply.body)))
        )
        for name, value in (*reply.headers.items(), framing):
            if reply.status != 204 or name != "Content-Length":
                handler.send_header(name, value)
        handler.end_headers()
        body = reply.body if reply.cut is None else reply.body[: reply.cut]
        for chunk in _chunks(body, _DRIP_BYTES if reply.drips else 1 << 16):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk) if reply.chunked else chunk)
            if reply.drips:
                handler.wfile.flush()
                time.sleep(_DRIP_S)
        if reply.chunked and reply.cut is None:
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = handler.close_connection or reply.cut is not None
    except OSError:
        handler.close_connection = True  # the client has gone


def _chunks(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


def _spoiled(reply: WebReply, faults: WebFaults) -> WebReply:
    if isinstance(faults.kind, int):
        return WebReply(faults.kind, dict(faults.headers), b"")
    return _KINDS[faults.kind](reply) if faults.kind else reply


def _files_in(reply: WebReply) -> list[bytes]:
    if reply.status != 200:
        return []
    parts = reply.body.split(f"\r\n--{_BOUNDARY}".encode())[1:-1]
    return [part.partition(b"\r\n\r\n")[2] for part in parts]


def _with_wrong_uid(reply: WebReply) -> WebReply:
    first, *rest = _files_in(reply)
    # The last digit of both its SOP Instance UIDs, that of the file meta information included.
    found = first.rfind(b"\x08\x00\x18\x00UI") + 8
    length = int.from_bytes(first[found - 2 : found], "little")
    uid = first[found : found + length].rstrip(b"\0")
    other = uid[:-1] + (b"9" if uid[-1:] != b"9" else b"8")
    return multipart([first.replace(uid, other), *rest])


_KINDS: dict[str, Callable[[WebReply], WebReply]] = {
    "no content": lambda _reply: WebReply(204, {}, b""),
    "no matches": lambda reply: replace(reply, body=b"[]"),
    "empty body": lambda reply: replace(reply, body=b""),
    "html": lambda _reply: WebReply(200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"),
    "truncated": lambda reply: replace(reply, body=reply.body[: len(reply.body) // 2]),
    "cut": lambda reply: replace(reply, cut=len(reply.body) // 2),
    "cut at once": lambda reply: replace(reply, cut=0),
    "chunked": lambda reply: replace(reply, chunked=True),
    "chunked and cut": lambda reply: replace(reply, chunked=True, cut=len(reply.body) // 2),
    "drip": lambda reply: replace(reply, drips=True),
    "gzip": lambda reply: replace(
        reply, body=gzip.compress(reply.body), headers=reply.headers | {"Content-Encoding": "gzip"}
    ),
    "huge": lambda reply: replace(reply, body=b"[" + b" " * _HUGE_BYTES + reply.body[1:]),
    "cut part": lambda reply: multipart(
        [file[: -len(file) // 3] for file in _files_in(reply)[:1]] + _files_in(reply)[1:]
    ),
    "double part": lambda reply: multipart(_files_in(reply)[:1] * 2 + _files_in(reply)[1:]),
    "missing part": lambda reply: multipart(_files_in(reply)[1:]),
    "wrong uid": _with_wrong_uid,
    "boundary in content": lambda reply: multipart(_files_in(reply), boundary="1.2.840.10008"),
}


@pytest.fixture
def dicomweb_server() -> Iterator[Callable[..., DicomwebServer]]:
    """Start servers with studies and faults; all are stopped when the test ends."""
    started: list[DicomwebServer] = []

    def start(studies: Iterable[Study], faults: WebFaults | None = None) -> DicomwebServer:
        started.append(DicomwebServer(studies, faults or WebFaults()))
        return started[-1]

    yield start
    for server in started:
        server.stop()
