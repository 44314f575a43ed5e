"""The head of a DICOM file (PS3.10 chapter 7): written before a data set, found again later."""

from __future__ import annotations

import functools
import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

from shared.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from shared.errors import InvalidInputError
from shared.identifiers import Uid, parse_uid

PREAMBLE_BYTES = 128
MAGIC = b"DICM"
#: A head is never longer than this; what is further away is no head of ours or of anybody.
MAX_HEAD_BYTES = 1 << 16

_BEGIN = bytes(PREAMBLE_BYTES) + MAGIC
_SHORT_HEAD, _LONG_HEAD = struct.Struct("<HH2sH"), struct.Struct("<HH2sHL")

_GROUP = 0x0002
_TRANSFER_SYNTAX = 0x0010
#: Explicit VRs of group 2 whose length has 32 bits.
_LONG = frozenset({b"OB", b"OW", b"UN", b"UT", b"SQ", b"OF", b"UC", b"UR"})


@dataclass(frozen=True, slots=True)
class Head:
    """What is needed of the head of a file."""

    transfer_syntax_uid: Uid
    data_set_offset: int


def file_head(
    *, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, source_ae_title: str = ""
) -> bytes:
    """Return preamble, prefix and File Meta Information for a data set."""
    elements = [
        _element(0x0001, b"OB", b"\x00\x01"),
        _one_of_few(0x0002, sop_class_uid),
        _element(0x0003, b"UI", _padded(sop_instance_uid, b"\0")),
        _one_of_few(_TRANSFER_SYNTAX, transfer_syntax_uid),
        _one_of_few(0x0012, IMPLEMENTATION_CLASS_UID),
        _element(0x0013, b"SH", _padded(IMPLEMENTATION_VERSION_NAME, b" ")),
    ]
    if source_ae_title:
        elements.append(_element(0x0016, b"AE", _padded(source_ae_title, b" ")))
    meta = b"".join(elements)
    return _BEGIN + _element(0x0000, b"UL", struct.pack("<L", len(meta))) + meta


def read_head(data: bytes | memoryview) -> Head:
    """Find the transfer syntax and the begin of the data set; `data` begins as the file begins.

    Raises:
        InvalidInputError: it is no DICOM file.
    """
    at = PREAMBLE_BYTES + len(MAGIC)
    if bytes(data[PREAMBLE_BYTES:at]) != MAGIC:
        raise InvalidInputError("file", "is no DICOM file")
    transfer_syntax_uid = ""
    while at + 8 <= len(data):
        group, element, vr, length = struct.unpack_from("<HH2sH", data, at)
        if group != _GROUP:
            break
        at += 8
        if vr in _LONG:
            if at + 4 > len(data):
                break
            (length,) = struct.unpack_from("<L", data, at)
            at += 4
        if element == _TRANSFER_SYNTAX:
            transfer_syntax_uid = bytes(data[at : at + length]).decode("latin-1")
        at += length
    if at > len(data):
        raise InvalidInputError("file", "ends within its head")
    return Head(parse_uid("transfer_syntax_uid", transfer_syntax_uid), at)


def digest_of(path: Path) -> str | None:
    """Return the SHA-256 of the data set in a file, without its head; None if it is no DICOM file."""
    with path.open("rb") as file:
        try:
            head = read_head(file.read(MAX_HEAD_BYTES))
        except InvalidInputError:
            return None
        file.seek(head.data_set_offset)
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.lru_cache(maxsize=256)
def _one_of_few(element: int, uid: str) -> bytes:
    return _element(element, b"UI", _padded(uid, b"\0"))


def _element(element: int, vr: bytes, value: bytes) -> bytes:
    if vr in _LONG:
        return _LONG_HEAD.pack(_GROUP, element, vr, 0, len(value)) + value
    return _SHORT_HEAD.pack(_GROUP, element, vr, len(value)) + value


def _padded(value: str, padding: bytes) -> bytes:
    raw = value.encode("ascii")
    return raw + padding if len(raw) % 2 else raw
