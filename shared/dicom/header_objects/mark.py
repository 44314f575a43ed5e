"""The mark of an object without its bulk data: a private block (PS3.5 7.8.1), and what it says.

| element | VR | holds |
| --- | --- | --- |
| (0009,xx01) | LO | the way it came |
| (0009,xx02) | LO | the release of DoseQR that wrote it |
| (0009,xx03) | AT | the tags of what is absent, as far as they are known |
| (0009,xx04) | UI | the transfer syntax of the whole object, if it is known |
| (0009,xx05) | UL | bytes of the whole data set, if they are known |
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.dicom.implementation import IMPLEMENTATION_VERSION_NAME
from shared.dicom.upper_layer.data_elements import Buffer

#: Who reserves the block. It stands before the UIDs of study and series, where our store finds it at once.
GROUP, CREATOR = 0x0009, b"DOSEQR HEADER"
_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0xFF
#: What a UL can hold.
_MOST_BYTES = 0xFFFFFFFF


class Way(StrEnum):
    """How an object came without its bulk data."""

    METADATA = "WADO-RS METADATA"
    WITHOUT_BULK_DATA = "C-GET WITHOUT BULK DATA"
    LEFT_OUT = "LEFT OUT ON ARRIVAL"


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of the whole object."""

    way: Way
    #: Tags of what was left out, as far as they are known.
    absent: Sequence[int] = ()
    transfer_syntax_uid: str = ""
    size_bytes: int | None = None


def is_mark(tag: int, data: Buffer, start: int, stop: int) -> bool:
    """Return whether an element, whose value lies between two places, reserves our block."""
    if tag >> 16 != GROUP or not _FIRST_BLOCK <= tag & 0xFFFF <= _LAST_BLOCK:
        return False
    return stop - start <= len(CREATOR) + 2 and bytes(data[start:stop]).strip(b" \0") == CREATOR


def mark_elements(origin: Origin, taken: Collection[int]) -> list[tuple[int, bytes]]:
    """Return the elements of the mark, by tag, in explicit VR little endian.

    `taken` are the tags of the object: the first block that nobody reserves there is ours.

    Raises:
        LookupError: all blocks of the group are taken.
    """
    blocks = {tag & 0xFFFF for tag in taken if tag >> 16 == GROUP}
    block = next((place for place in range(_FIRST_BLOCK, _LAST_BLOCK + 1) if place not in blocks), None)
    if block is None:
        raise LookupError("all private blocks of group 0009 are taken")
    values = {
        1: (b"LO", _text(origin.way)),
        2: (b"LO", _text(IMPLEMENTATION_VERSION_NAME)),
        3: (b"AT", b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in origin.absent)),
        4: (b"UI", _text(origin.transfer_syntax_uid, b"\0")),
        5: (
            b"UL",
            b"" if origin.size_bytes is None else struct.pack("<L", min(origin.size_bytes, _MOST_BYTES)),
        ),
    }
    elements = [(block, b"LO", _text(CREATOR.decode()))]
    elements += [(block << 8 | number, vr, value) for number, (vr, value) in values.items() if value]
    return [
        (GROUP << 16 | number, struct.pack("<HH2sH", GROUP, number, vr, len(value)) + value)
        for number, vr, value in elements
    ]


def _text(text: str, padding: bytes = b" ") -> bytes:
    raw = text.encode("ascii")
    return raw + padding if len(raw) % 2 else raw
