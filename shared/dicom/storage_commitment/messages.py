"""The messages of a storage commitment (PS3.4 J.3): the request, and the report on it. Pure."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.dicom.errors import Outcome, PeerError
from shared.dicom.sop_classes import STORAGE_COMMITMENT_INSTANCE
from shared.dicom.upper_layer.data_elements import elements_of, sequence_of
from shared.dicom.upper_layer.errors import MalformedDataSetError
from shared.errors import DoseQRError, InvalidInputError
from shared.identifiers import Uid

#: Request Storage Commitment (PS3.4 J.3.2.1).
REQUEST_ACTION = 1
#: All objects are committed to; failures exist (PS3.4 J.3.3.1).
ALL_COMMITTED, FAILURES_EXIST = 1, 2

#: Statuses of an N-EVENT-REPORT and N-ACTION (PS3.7 annex C).
SUCCESS = 0x0000
PROCESSING_FAILURE, NO_SUCH_INSTANCE, NO_SUCH_EVENT_TYPE, INVALID_ARGUMENT = 0x0110, 0x0112, 0x0113, 0x0115
RESOURCE_LIMITATION = 0x0213

_TRANSACTION_UID = 0x00081195
_FAILURE_REASON = 0x00081197
_FAILED_SEQUENCE, _REFERENCED_SEQUENCE = 0x00081198, 0x00081199
_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00081150, 0x00081155
_ITEM = 0xFFFEE000

#: Failure Reason (0008,1197) (PS3.4 J.3.3.1.1), and other statuses of an N-ACTION.
_MEANINGS = {
    PROCESSING_FAILURE: "processing failure",
    NO_SUCH_INSTANCE: "no such object instance",
    0x0118: "no such SOP class",
    0x0119: "class/instance conflict",
    0x0122: "SOP class not supported",
    0x0123: "no such action",
    0x0124: "not authorized",
    0x0131: "duplicate transaction UID",
    0x0210: "duplicate invocation",
    0x0211: "unrecognized operation",
    0x0212: "mistyped argument",
    RESOURCE_LIMITATION: "resource limitation",
}

#: Another request gets the same status.
_PERMANENT = frozenset(
    {0x0112, 0x0113, 0x0114, 0x0115, 0x0117, 0x0118, 0x0119, 0x0122, 0x0123, 0x0124, 0x0211, 0x0212}
)


@dataclass(frozen=True, slots=True)
class Reference:
    """An object for which a commitment is requested."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class CommitmentResult:
    """What a node commits to keep, and what not, with the Failure Reason (0 where it gives none)."""

    transaction_uid: str
    committed: frozenset[str]
    failed: Mapping[str, int]


class RefusedEventError(DoseQRError):
    """An N-EVENT-REPORT that cannot be taken; `status_code` is the status of the response."""

    def __init__(self, status_code: int, problem: str) -> None:
        super().__init__(problem)
        self.status_code = status_code


def new_transaction_uid() -> str:
    """Return a UID that nobody can guess (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def reason_text(reason: int) -> str:
    """Return a Failure Reason or status as people read it."""
    return f"0x{reason:04X} {_MEANINGS.get(reason, '')}".rstrip() if reason else "no reason given"


def action_error(status_code: int) -> PeerError | None:
    """Return the error for the status of an N-ACTION, None for success and warnings (PS3.7 C.3)."""
    if status_code in (SUCCESS, 0x0001, 0x0107, 0x0116) or 0xB000 <= status_code <= 0xBFFF:  # noqa: PLR2004
        return None
    detail = f"to a request for storage commitment ({_MEANINGS.get(status_code, 'unknown')})"
    return PeerError(Outcome.STATUS, detail, status_code=status_code, permanent=status_code in _PERMANENT)


def encode_request(transaction_uid: str, references: Iterable[Reference], *, implicit: bool) -> bytes:
    """Return the action information of a request (PS3.4 table J.3-1), little endian."""
    items = b"".join(
        _item(
            _element(_SOP_CLASS_UID, b"UI", _uid(reference.sop_class_uid), implicit=implicit)
            + _element(_SOP_INSTANCE_UID, b"UI", _uid(reference.sop_instance_uid), implicit=implicit)
        )
        for reference in references
    )
    head = _element(_TRANSACTION_UID, b"UI", _uid(transaction_uid), implicit=implicit)
    return head + _element(_REFERENCED_SEQUENCE, b"SQ", items, implicit=implicit)


def read_report(event_type_id: int | None, sop_instance_uid: str, data_set: bytes) -> CommitmentResult:
    """Read an N-EVENT-REPORT (PS3.4 table J.3-2); an object that is named both ways has failed.

    Raises:
        RefusedEventError: it is no report of a storage commitment, or cannot be read.
    """
    if sop_instance_uid != STORAGE_COMMITMENT_INSTANCE:
        raise RefusedEventError(NO_SUCH_INSTANCE, "not the instance of storage commitment")
    if event_type_id not in (ALL_COMMITTED, FAILURES_EXIST):
        raise RefusedEventError(NO_SUCH_EVENT_TYPE, "no event of storage commitment")
    try:
        transaction_uid = _text(elements_of(data_set).get(_TRANSACTION_UID, b""))
        committed = sequence_of(data_set, _REFERENCED_SEQUENCE)
        failed = sequence_of(data_set, _FAILED_SEQUENCE)
        valid = str(Uid.parse("TransactionUID", transaction_uid))
    except MalformedDataSetError:
        raise RefusedEventError(PROCESSING_FAILURE, "the report cannot be read") from None
    except InvalidInputError:
        raise RefusedEventError(INVALID_ARGUMENT, "no valid Transaction UID") from None
    reasons = {uid: _number(item) for item in failed if (uid := _instance_of(item))}
    kept = frozenset(uid for item in committed if (uid := _instance_of(item))) - reasons.keys()
    return CommitmentResult(valid, kept, MappingProxyType(reasons))


def _instance_of(item: Mapping[int, bytes]) -> str:
    """Return the SOP Instance UID of an item; empty if it has none, since nothing can then be concluded."""
    try:
        return str(Uid.parse("SOPInstanceUID", _text(item.get(_SOP_INSTANCE_UID, b""))))
    except InvalidInputError:
        return ""


def _number(item: Mapping[int, bytes]) -> int:
    value = item.get(_FAILURE_REASON, b"")
    return int.from_bytes(value, "little") if len(value) == 2 else 0  # noqa: PLR2004 - US


def _text(value: bytes) -> str:
    return value.decode("latin-1").rstrip("\0 ")


def _uid(text: str) -> bytes:
    return text.encode("ascii") + b"\0" * (len(text) % 2)


def _item(content: bytes) -> bytes:
    return _element(_ITEM, b"", content, implicit=True)


def _element(tag: int, vr: bytes, value: bytes, *, implicit: bool) -> bytes:
    """Return an element; items have no VR, and a sequence a length of 32 bits (PS3.5 7.1)."""
    group, number = tag >> 16, tag & 0xFFFF
    if implicit:
        return struct.pack("<HHL", group, number, len(value)) + value
    if vr == b"SQ":
        return struct.pack("<HH2sHL", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value
