"""WADO-RS metadata (PS3.18 10.4.1.1.2): headers come as DICOM JSON, and go on to a store as headers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.header_objects.bulk_sieve import PIXEL_DATA, header_data_set, is_bulk
from shared.dicom.header_objects.explicit_vr import explicit_elements
from shared.dicom.header_objects.mark import Origin, Way
from shared.dicom.relay.fetched_object import FetchedObject
from shared.dicom.sop_classes import WHOLE_CLASSES
from shared.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from shared.dicom.upper_layer.errors import MalformedDataSetError
from shared.dicomweb.wado.multipart import parts_of
from shared.dicomweb.wado.session import Fetch, WadoSession, WadoTarget

ACCEPT_JSON = "application/dicom+json"
ACCEPT_BULK = 'multipart/related; type="application/octet-stream", application/octet-stream'

#: Bytes of the metadata of one object, of one value that is fetched by itself, and such values of one object.
_METADATA_MOST_BYTES, _VALUE_MOST_BYTES, _MOST_VALUES = 16 << 20, 1 << 20, 20
#: What pydicom raises for JSON that is no DICOM JSON, and for values that do not fit their VR.
_NOT_DICOM = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    OverflowError,
    NotImplementedError,
    RecursionError,
)

#: Gives the value behind a BulkDataURI; None where it is not fetched.
FetchValue = Callable[[str], bytes | None]


class MetadataSession(WadoSession):
    """A session for metadata of single objects."""

    operation = "WADO-RS metadata"

    @property
    def fetch_kind(self) -> type[Fetch]:
        """What sends the requests."""
        return _MetadataFetch


class _MetadataFetch(Fetch):
    """The requests for the objects of one identifier; a series as a whole is not requested so."""

    def retrieve(self, target: WadoTarget) -> None:
        """Request the metadata of one object, and hand it on."""
        response = self.session.get(
            target.metadata_path, ACCEPT_JSON, check=self.check_time, cancellation=self.cancellation
        )
        if response.status != HTTPStatus.OK:
            refusal = self.session.refusal(response, "the metadata of an instance")
            if refusal.associating or refusal.congested:
                raise refusal
            self.refusal = refusal
            self.fail(target.sop_instance_uid)
            return
        before = len(self.relay.stored)
        try:
            data_set = header_of(response.read(_METADATA_MOST_BYTES), target.sop_instance_uid, self._value)
        except MalformedDataSetError as error:
            self.refusal = PeerError(Outcome.BAD_RESPONSE, f"metadata of an instance {error}")
        else:
            self._relay_header(data_set, target)
        if len(self.relay.stored) == before:
            self.fail(target.sop_instance_uid)

    def _relay_header(self, data_set: bytes, target: WadoTarget) -> None:
        received = FetchedObject(BytesIO, lambda _size_bytes: None, len(data_set))
        try:
            received.add(data_set)
            self.relay_object(received, EXPLICIT_VR_LITTLE_ENDIAN, target)
        finally:
            received.close()

    def _value(self, uri: str) -> bytes | None:
        """Fetch a short value; only from this server, which gets its secret, and from no other."""
        target = self.session.target_of(uri)
        if target is None:
            return None
        try:
            self.session.admit()
            response = self.session.get(
                target, ACCEPT_BULK, check=self.check_time, cancellation=self.cancellation
            )
            if response.status != HTTPStatus.OK:
                self.session.refusal(response, "a value of an instance")
                return None
            if not response.content_type.startswith("multipart/"):
                return response.read(_VALUE_MOST_BYTES)
            for part in parts_of(response.content_type, response.chunks()):
                return _bounded(part.chunks())
        except InterruptedWorkError:
            raise
        except PeerError:
            # The rest of the response may be of any length.
            self.session.abort()
        return None


def _bounded(chunks: Iterator[bytes]) -> bytes | None:
    value = bytearray()
    for chunk in chunks:
        value += chunk
        if len(value) > _VALUE_MOST_BYTES:
            raise PeerError(Outcome.BAD_RESPONSE, "a value that is too long")
    return bytes(value)


def header_of(body: bytes, sop_instance_uid: str, fetch: FetchValue) -> bytes:
    """Return the header of an object from its metadata (PS3.18 annex F).

    Raises:
        MalformedDataSetError: it is no metadata of this object, or its class is always kept whole.
    """
    try:
        listed = json.loads(body)
        attributes = listed[0] if isinstance(listed, list) and len(listed) == 1 else None
        if not isinstance(attributes, dict):
            raise MalformedDataSetError("are not those of one object")
        _refuse_fractions(attributes)
        absent = [PIXEL_DATA]
        _resolve(attributes, fetch, absent)
        data_set = Dataset.from_json(attributes, lambda _tag, _vr, _uri: b"")
        if not json.dumps(attributes, ensure_ascii=False).isascii():
            data_set.SpecificCharacterSet = "ISO_IR 192"
        encoded = DicomBytesIO()
        encoded.is_little_endian, encoded.is_implicit_VR = True, False
        if str(data_set.SOPInstanceUID) != sop_instance_uid:
            raise MalformedDataSetError("are those of another object")
        if str(data_set.SOPClassUID) in WHOLE_CLASSES:
            raise MalformedDataSetError("are of a class that is kept whole")
        write_dataset(encoded, data_set)
    except _NOT_DICOM as error:
        raise MalformedDataSetError(f"are no DICOM JSON ({type(error).__name__})") from error
    elements = explicit_elements(encoded.getvalue(), EXPLICIT_VR_LITTLE_ENDIAN)
    return header_data_set(elements, Origin(Way.METADATA, sorted(set(absent))))


def _refuse_fractions(attributes: Mapping[str, object]) -> None:
    """Refuse an integer string (IS) with a fraction, which would be lost; the object has its characters."""
    for entry in attributes.values():
        values = entry.get("Value") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(values, list):
            continue
        if entry.get("vr") == "IS" and any(isinstance(number, float) and number % 1 for number in values):
            raise MalformedDataSetError("have an integer string (IS) with a fraction")
        for item in values:
            if isinstance(item, dict):
                _refuse_fractions(item)


def _resolve(attributes: dict[str, object], fetch: FetchValue, absent: list[int]) -> None:
    """Put short values in the place of their addresses; what is bulk data, or does not come, is left out."""
    fetched = 0
    for name in list(attributes):
        tag, entry = int(name, 16), attributes[name]
        if tag >> 16 == 0x0002 or is_bulk(tag):  # noqa: PLR2004 - the group of file meta information
            del attributes[name]
            if is_bulk(tag):
                absent.append(tag)
            continue
        if not isinstance(entry, dict) or "BulkDataURI" not in entry:
            continue
        value = fetch(str(entry["BulkDataURI"])) if fetched < _MOST_VALUES else None
        fetched += 1
        if value is None:
            del attributes[name]
            absent.append(tag)
        else:
            attributes[name] = {"vr": entry.get("vr", "UN"), "InlineBinary": _inline(value)}


def _inline(value: bytes) -> str:
    return base64.b64encode(value + b"\0" * (len(value) % 2)).decode("ascii")
