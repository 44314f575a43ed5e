"""Which fault strikes which request for a resource, and what it makes of the response."""

import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

from pydicom import dcmread, dcmwrite
from pydicom.uid import UID

from simulator.dicomweb.behaviour import WebBehaviour, WebFault
from simulator.dicomweb.reply import BOUNDARY, JSON_TYPE, Reply, multipart

_HUGE_BYTES = 1 << 20
_OK = 200


class WebFaultBook:
    """Counts the requests that fit each fault, over all connections."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fitting: Counter[int] = Counter()

    def strike(self, behaviour: WebBehaviour, resource: str) -> WebFault | None:
        """Count a request; return the first fault that is due."""
        due: WebFault | None = None
        with self._lock:
            for place, fault in enumerate(behaviour.faults):
                if resource not in fault.resources:
                    continue
                self._fitting[place] += 1
                beyond = self._fitting[place] - fault.nth
                if due is None and beyond >= 0 and (fault.always or beyond < fault.times):
                    due = fault
        return due


def spoiled(reply: Reply, fault: WebFault) -> Reply:
    """Return what becomes of a response."""
    if fault.kind == "status":
        return Reply(fault.status, fault.headers)
    if fault.kind == "delay":
        return reply
    return _KINDS[fault.kind](reply.whole())


def _files_in(reply: Reply) -> list[bytes]:
    if reply.status != _OK:
        return []
    parts = reply.body.split(f"\r\n--{BOUNDARY}".encode())[1:-1]
    return [part.partition(b"\r\n\r\n")[2] for part in parts]


def _parts(
    change: Callable[[list[bytes]], list[bytes]], boundary: str = BOUNDARY
) -> Callable[[Reply], Reply]:
    def spoil(reply: Reply) -> Reply:
        files = change(_files_in(reply))
        return multipart(lambda: files, boundary).whole()

    return spoil


def _with_wrong_uid(file: bytes) -> bytes:
    """Return a file whose SOP Instance UID differs in its last digit, in its meta information too."""
    ds = dcmread(BytesIO(file))
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(_other(ds.SOPInstanceUID))
    buffer = BytesIO()
    dcmwrite(buffer, ds)
    return buffer.getvalue()


def _other(uid: str) -> str:
    return uid[:-1] + ("9" if uid[-1] != "9" else "8")


_wrong_parts = _parts(lambda files: [_with_wrong_uid(file) for file in files[:1]] + files[1:])


def _with_wrong_uids(reply: Reply) -> Reply:
    """Return objects, or metadata, with another SOP Instance UID."""
    if reply.headers.get("Content-Type") != JSON_TYPE:
        return _wrong_parts(reply)
    entries = json.loads(reply.body)
    for entry in entries:
        entry["00080018"]["Value"] = [_other(uid) for uid in entry["00080018"]["Value"]]
    return replace(reply, body=json.dumps(entries).encode())


_KINDS: dict[str, Callable[[Reply], Reply]] = {
    "no_content": lambda _reply: Reply(204),
    "no_matches": lambda reply: replace(reply, body=b"[]"),
    "empty_body": lambda reply: replace(reply, body=b""),
    "html": lambda _reply: Reply(200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"),
    "truncated": lambda reply: replace(reply, body=reply.body[: len(reply.body) // 2]),
    "cut": lambda reply: replace(reply, cut=len(reply.body) // 2),
    "cut_at_once": lambda reply: replace(reply, cut=0),
    "chunked": lambda reply: replace(reply, chunked=True),
    "chunked_and_cut": lambda reply: replace(reply, chunked=True, cut=len(reply.body) // 2),
    "drip": lambda reply: replace(reply, drips=True),
    "gzip": lambda reply: replace(
        reply, body=gzip.compress(reply.body), headers={**reply.headers, "Content-Encoding": "gzip"}
    ),
    "huge": lambda reply: replace(reply, body=b"[" + b" " * _HUGE_BYTES + reply.body[1:]),
    "cut_part": _parts(lambda files: [file[: -len(file) // 3] for file in files[:1]] + files[1:]),
    "double_part": _parts(lambda files: files[:1] * 2 + files[1:]),
    "missing_part": _parts(lambda files: files[1:]),
    "wrong_uid": _with_wrong_uids,
    "boundary_in_content": _parts(lambda files: files, boundary="1.2.840.10008"),
}
