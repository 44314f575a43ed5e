"""Who an object is: its UIDs, read from the raw bytes of a data set; bounded for hostile input.

Only the elements up to Series Instance UID (0020,000E) are walked; pixels are never reached and no value but
the four UIDs, and the mark of a header (`shared/dicom/header_objects`), is read. Encodings are those of
PS3.5 chapter 7 and annex A.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.dicom.header_objects.mark import is_mark
from shared.dicom.inflater import Inflater
from shared.dicom.part10 import read_head
from shared.dicom.transfer_syntaxes import BIG_ENDIAN, EVERY_DEFLATED
from shared.dicom.upper_layer.data_elements import Buffer, ElementWalker, TruncatedDataSetError
from shared.dicom.upper_layer.errors import MalformedDataSetError
from shared.errors import InvalidInputError
from shared.identifiers import Uid, parse_uid

_WANTED = {
    0x0008_0016: "sop_class_uid",
    0x0008_0018: "sop_instance_uid",
    0x0020_000D: "study_instance_uid",
    0x0020_000E: "series_instance_uid",
}
_LAST_TAG = max(_WANTED)
#: Stands for the mark of an object without its bulk data.
_MARK = "mark"

#: Bytes of a deflated data set that are inflated for its UIDs, which lie in its first kilobytes.
MAX_INFLATED_BYTES = 1 << 20

#: Bytes of a file in which the mark of a header is searched.
_FILE_BEGIN_BYTES = 1 << 18

#: Longest value read as a UID: 64 characters and generous padding.
_MAX_UID_BYTES = 128


@dataclass(frozen=True, slots=True)
class Identity:
    """The UIDs of one object."""

    sop_class_uid: Uid
    sop_instance_uid: Uid
    study_instance_uid: Uid
    series_instance_uid: Uid
    #: Whether it is a header that we wrote: its bulk data was left out.
    is_header: bool = False


def is_deflated(transfer_syntax_uid: str) -> bool:
    """Return whether a data set in this transfer syntax has to be inflated to be read."""
    return transfer_syntax_uid in EVERY_DEFLATED


def read_identity(data_set: Buffer, transfer_syntax_uid: str) -> Identity:
    """Read the UIDs of a data set that is encoded in the transfer syntax.

    Raises:
        InvalidInputError: it cannot be read as a data set, or a UID is missing or wrong; names which.
    """
    if is_deflated(transfer_syntax_uid):
        return _identity(_find_in_deflated(data_set))
    try:
        return _identity(_find(data_set, big_endian=transfer_syntax_uid == BIG_ENDIAN))
    except TruncatedDataSetError as error:
        raise InvalidInputError("data_set", str(error)) from error


def is_header_file(file: Path) -> bool:
    """Return whether a file holds an object without its bulk data.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        begin = opened.read(_FILE_BEGIN_BYTES)
    try:
        head = read_head(begin)
        return read_identity(begin[head.data_set_offset :], head.transfer_syntax_uid).is_header
    except InvalidInputError:
        return False


def _identity(found: dict[str, bytes]) -> Identity:
    uids = {name: _uid(name, found.get(name)) for name in _WANTED.values()}
    return Identity(**uids, is_header=_MARK in found)


def _uid(name: str, value: bytes | None) -> Uid:
    if value is None:
        raise InvalidInputError(name, "is missing from the data set")
    return parse_uid(name, value.decode("latin-1"))


def _find_in_deflated(data_set: Buffer) -> dict[str, bytes]:
    truncated: TruncatedDataSetError | None = None
    begin = bytearray()
    for piece in _begin_of_inflated(data_set):
        begin += piece
        try:
            return _find(begin)
        except TruncatedDataSetError as error:
            truncated = error
    if len(begin) >= MAX_INFLATED_BYTES:
        raise InvalidInputError("data_set", f"has no UIDs in its first {MAX_INFLATED_BYTES} bytes")
    raise InvalidInputError("data_set", str(truncated or TruncatedDataSetError())) from truncated


def _begin_of_inflated(data_set: Buffer) -> Iterator[bytes]:
    """Yield the first bytes of a deflated data set, then more of them.

    Raises:
        InvalidInputError: it cannot be inflated.
    """
    pieces = Inflater().pieces(data_set)
    try:
        first = next(pieces, b"")
        yield first
        rest = bytearray()
        for piece in pieces:
            rest += piece
            if len(first) + len(rest) >= MAX_INFLATED_BYTES:
                break
        if rest:
            yield bytes(rest)
    except zlib.error:
        raise InvalidInputError("data_set", "cannot be inflated") from None


def _find(data_set: Buffer, *, big_endian: bool = False) -> dict[str, bytes]:
    """Return the wanted values that are there.

    Raises:
        TruncatedDataSetError: the data end before the UIDs were found; more of the stream may help.
        InvalidInputError: they cannot be read.
    """
    found: dict[str, bytes] = {}
    marked: dict[str, bytes] = {}
    try:
        for tag, _, start, stop in ElementWalker(data_set, big_endian=big_endian, max_depth=None).walk():
            if tag > _LAST_TAG:
                break
            name = _WANTED.get(tag)
            if name is None:
                if is_mark(tag, data_set, start, stop):
                    marked[_MARK] = b""
                continue
            if stop - start > _MAX_UID_BYTES:
                raise InvalidInputError(name, "is too long to be a UID")
            found[name] = bytes(data_set[start:stop])
            if len(found) == len(_WANTED):
                break
    except TruncatedDataSetError:
        raise
    except MalformedDataSetError as error:
        raise InvalidInputError("data_set", str(error)) from error
    return found | marked
