"""Codes of a report are read whatever character set it declares, and texts as far as they can be."""

from __future__ import annotations

import io
import struct

import pytest
from pydicom import dcmread

from shared.dose.tree import content_of
from tests.matrix.character_sets import TEXT_ROWS, TextRow

#: pydicom warns of names that it does not know.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

#: Names that pydicom takes for ASCII, and the texts that are lost by that.
_TAKEN_FOR_ASCII = {"ISO_IR 149", "GB_18030", "ISO_IR 203", "ISO 2022 IR 203"}


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    padded = value + b" " * (len(value) % 2)
    return struct.pack("<HH2sH", group, number, vr, len(padded)) + padded


def sequence(group: int, number: int, item: bytes) -> bytes:
    encoded = struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item
    return struct.pack("<HH2sHL", group, number, b"SQ", 0, len(encoded)) + encoded


def report(row: TextRow, *, in_item: bool) -> bytes:
    """Return a report whose one item has a text of the row, declared in the item or above it."""
    declared = element(0x0008, 0x0005, b"CS", row.declared.encode())
    code = declared if in_item else b""
    code += element(0x0008, 0x0100, b"SH", b"113764") + element(0x0008, 0x0102, b"SH", b"DCM")
    code += element(0x0008, 0x0104, b"LO", row.value)
    item = element(0x0040, 0xA040, b"CS", b"CODE") + sequence(0x0040, 0xA043, code)
    top = b"" if in_item else declared
    return top + element(0x0040, 0xA040, b"CS", b"CONTAINER") + sequence(0x0040, 0xA730, item)


@pytest.mark.parametrize("in_item", [False, True], ids=["report", "item"])
def test_codes_and_texts_of_a_report_are_read_under_any_character_set(in_item: bool) -> None:
    for row in TEXT_ROWS:
        # Given
        ds = dcmread(io.BytesIO(report(row, in_item=in_item)), force=True)
        # When
        (item,) = content_of(ds).items
        # Then
        assert item.concept is not None
        assert (item.value_type, item.concept.value, item.concept.scheme) == ("CODE", "113764", "DCM")
        assert item.concept.meaning == row.text or row.declared in _TAKEN_FOR_ASCII, row
