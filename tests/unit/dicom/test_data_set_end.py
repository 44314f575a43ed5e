"""Whether a data set is all there: cut anywhere it is refused, and no oddity is taken for a cut."""

from __future__ import annotations

import contextlib
import struct
import zlib
from pathlib import Path

import pydicom.data
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.objects.identity import read_identity
from shared.dicom import data_set_end
from shared.dicom.data_set_end import CutOffError, check_end
from shared.dicom.part10 import read_head
from shared.errors import InvalidInputError

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50"
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXELS, SEQUENCE = 0x7FE00010, 0x00400275
LONG_VRS = (b"OB", b"OW", b"SQ", b"UN")
SAMPLES = Path(__file__).parents[4] / "shared" / "samples"
BUNDLED = Path(pydicom.data.__file__).parent / "test_files"
#: Files of pydicom that are cut off on purpose.
CUT_FILES = {"MR_truncated.dcm", "rtplan_truncated.dcm"}


def element(tag: int, vr: bytes, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    length = len(value) if length is None else length
    group, number = tag >> 16, tag & 0xFFFF
    if vr in LONG_VRS:
        return struct.pack(f"{order}HH2sHL", group, number, vr, 0, length) + value
    return struct.pack(f"{order}HH2sH", group, number, vr, length) + value


def implicit(tag: int, value: bytes = b"", length: int | None = None, order: str = "<") -> bytes:
    length = len(value) if length is None else length
    return struct.pack(f"{order}HHL", tag >> 16, tag & 0xFFFF, length) + value


HEAD = element(0x00080018, b"UI", b"1.2.3\0") + element(0x00100010, b"PN", b"A^")
CODE, IMPLICIT_CODE = element(0x00080100, b"SH", b"CODE"), implicit(0x00080100, b"CODE")
OPENED = element(SEQUENCE, b"SQ", b"", UNDEFINED) + implicit(ITEM, length=UNDEFINED)
ENDED = implicit(ITEM_END) + implicit(SEQUENCE_END)
NATIVE = element(PIXELS, b"OW", bytes(64))
FRAGMENTS = element(PIXELS, b"OB", b"", UNDEFINED) + implicit(ITEM) + implicit(ITEM, bytes(30))
IMPLICIT_HEAD = implicit(0x00080018, b"1.2.3\0") + implicit(0x00100010, b"A^")


def deflated(data: bytes, flush: int = zlib.Z_FINISH) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush(flush)


WHOLE = {
    "native pixels": (EXPLICIT, HEAD + NATIVE),
    "implicit VR": (IMPLICIT, IMPLICIT_HEAD + implicit(PIXELS, bytes(64))),
    "implicit VR where explicit was agreed": (EXPLICIT, IMPLICIT_HEAD + implicit(PIXELS, bytes(64))),
    "big endian": (
        BIG,
        element(0x00080018, b"UI", b"1.2.3\0", order=">") + element(PIXELS, b"OW", bytes(64), order=">"),
    ),
    "encapsulated pixels": (JPEG, HEAD + FRAGMENTS + implicit(SEQUENCE_END)),
    "a sequence of undefined length": (EXPLICIT, HEAD + OPENED + CODE + ENDED + NATIVE),
    "a sequence within a sequence": (EXPLICIT, HEAD + OPENED + OPENED + CODE + ENDED + ENDED + NATIVE),
    "deflated": (DEFLATED, deflated(HEAD + NATIVE)),
    "deflated, with a byte that pads it": (DEFLATED, deflated(HEAD + NATIVE) + b"\0"),
    "deflated, of many pieces": (DEFLATED, deflated(HEAD + element(PIXELS, b"OW", bytes(131_062)))),
    "deflated, implicit within": (DEFLATED, deflated(IMPLICIT_HEAD + implicit(PIXELS, bytes(64)))),
}

ODD = {
    "data set trailing padding": (EXPLICIT, HEAD + NATIVE + element(0xFFFCFFFC, b"OB", bytes(20))),
    "three NULs at the end": (EXPLICIT, HEAD + NATIVE + bytes(3)),
    "a block of NULs at the end": (EXPLICIT, HEAD + NATIVE + bytes(501)),
    "NULs at the end, implicit VR": (IMPLICIT, IMPLICIT_HEAD + bytes(13)),
    "spaces at the end": (EXPLICIT, HEAD + NATIVE + b"  "),
    "any single byte at the end": (EXPLICIT, HEAD + NATIVE + b"\xff"),
    "a value of odd length": (EXPLICIT, HEAD + element(0x00200010, b"SH", b"123") + NATIVE),
    "a value of odd length, implicit VR": (
        IMPLICIT,
        IMPLICIT_HEAD + implicit(0x00200010, b"123") + implicit(PIXELS, bytes(9)),
    ),
    "odd lengths with a byte that is not counted": (
        IMPLICIT,
        (IMPLICIT_HEAD + implicit(0x00200010, b"123") + b" ") + implicit(PIXELS, bytes(9)) + b"\0",
    ),
    "UN that is explicit within": (
        EXPLICIT,
        HEAD
        + element(SEQUENCE, b"UN", b"", UNDEFINED)
        + (implicit(ITEM, length=UNDEFINED) + CODE + OPENED + CODE + ENDED + ENDED)
        + NATIVE,
    ),
    "UN that is implicit within": (
        EXPLICIT,
        HEAD
        + element(SEQUENCE, b"UN", b"", UNDEFINED)
        + (implicit(ITEM, length=UNDEFINED) + IMPLICIT_CODE + ENDED)
        + NATIVE,
    ),
    "an item that is implicit in an explicit data set": (
        EXPLICIT,
        HEAD + OPENED + implicit(0x00080100, b"CODEC ") + ENDED + NATIVE,
    ),
    "a VR that is none": (EXPLICIT, HEAD + element(0x00291010, b"Zz", b"abcd") + NATIVE),
    "a VR of a later edition": (
        EXPLICIT,
        HEAD + struct.pack("<HH2sHL", 0x29, 0x1010, b"ZZ", 0, 4) + b"abcd" + NATIVE,
    ),
    "native pixels of undefined length": (
        EXPLICIT,
        HEAD + element(PIXELS, b"OW", b"", UNDEFINED) + bytes(64) + implicit(SEQUENCE_END),
    ),
}

CUT = {
    "native pixels": (EXPLICIT, HEAD + NATIVE[:-1]),
    "within the head of an element": (EXPLICIT, HEAD + NATIVE[:6]),
    "implicit VR": (IMPLICIT, IMPLICIT_HEAD + implicit(PIXELS, bytes(64))[:-9]),
    "big endian": (BIG, WHOLE["big endian"][1][:-1]),
    "after a value of odd length": (EXPLICIT, HEAD + element(0x00200010, b"SH", b"123") + NATIVE[:-20]),
    "a sequence of defined length": (
        EXPLICIT,
        HEAD + element(SEQUENCE, b"SQ", implicit(ITEM, CODE))[:-3],
    ),
    "an item that does not end": (EXPLICIT, HEAD + OPENED + CODE),
    "a sequence that does not end": (EXPLICIT, HEAD + OPENED + CODE + implicit(ITEM_END)),
    "a sequence that does not end, and a byte": (EXPLICIT, HEAD + OPENED + CODE + implicit(ITEM_END) + b"\0"),
    "a sequence that does not end, before pixels": (
        EXPLICIT,
        HEAD + OPENED + CODE + implicit(ITEM_END) + NATIVE,
    ),
    "UN that does not end": (
        EXPLICIT,
        HEAD + element(SEQUENCE, b"UN", b"", UNDEFINED) + implicit(ITEM, length=UNDEFINED) + IMPLICIT_CODE,
    ),
    "within a fragment": (JPEG, HEAD + FRAGMENTS[:-3]),
    "fragments that do not end": (JPEG, HEAD + FRAGMENTS),
    "within the end of fragments": (JPEG, HEAD + FRAGMENTS + implicit(SEQUENCE_END)[:6]),
    "a deflated stream": (DEFLATED, deflated(HEAD + NATIVE)[:-5]),
    "a deflated stream by its last byte": (DEFLATED, deflated(HEAD + NATIVE)[:-1]),
    "before it was deflated": (DEFLATED, deflated(HEAD + NATIVE[:-9])),
    "a sequence, before it was deflated": (DEFLATED, deflated(HEAD + OPENED + CODE)),
    "nothing deflated": (DEFLATED, deflated(b"")),
}


@pytest.mark.parametrize(("syntax", "data"), (WHOLE | ODD).values(), ids=WHOLE | ODD)
def test_a_data_set_that_is_all_there_is_taken(syntax, data):
    # When / Then
    for buffer in (data, bytearray(data), memoryview(data)):
        check_end(buffer, syntax)


@pytest.mark.parametrize(("syntax", "data"), CUT.values(), ids=CUT)
def test_a_data_set_that_stops_within_an_element_is_cut_off(syntax, data):
    # When
    with pytest.raises(CutOffError, match="is cut off") as caught:
        check_end(data, syntax)
    # Then
    assert caught.value.field == "data_set"


def test_the_element_that_has_no_end_is_named():
    # When / Then
    with pytest.raises(CutOffError, match=r"ends within an element \(7FE0,0010\)"):
        check_end(HEAD + NATIVE[:-1], EXPLICIT)
    with pytest.raises(CutOffError, match=r"a sequence \(0040,0275\) that is not made of items"):
        check_end(HEAD + OPENED + CODE + implicit(ITEM_END) + NATIVE, EXPLICIT)


#: Heads, and elements that follow them.
LAST_ELEMENTS = [
    (EXPLICIT, HEAD, NATIVE),
    (IMPLICIT, IMPLICIT_HEAD, implicit(PIXELS, bytes(64))),
    (JPEG, HEAD, FRAGMENTS + implicit(SEQUENCE_END)),
    (EXPLICIT, HEAD, OPENED + OPENED + CODE + ENDED + ENDED),
]


@pytest.mark.parametrize(("syntax", "head", "last"), LAST_ELEMENTS)
@given(data=st.data())
def test_a_cut_anywhere_within_the_last_element_is_noticed(syntax, head, last, data):
    # Given: of a single byte nobody knows whether it pads
    cut = data.draw(st.integers(2, len(last) - 1))
    # When / Then
    with pytest.raises(CutOffError):
        check_end(head + last[:cut], syntax)


@given(data=st.data())
def test_a_deflated_data_set_that_is_cut_anywhere_is_noticed(data):
    # Given
    whole = deflated(HEAD + NATIVE)
    # When / Then
    with pytest.raises(InvalidInputError):
        check_end(whole[: data.draw(st.integers(0, len(whole) - 1))], DEFLATED)


@given(st.binary(max_size=300), st.sampled_from([IMPLICIT, EXPLICIT, BIG, DEFLATED, "1.2.3"]))
def test_any_bytes_are_taken_or_refused_and_nothing_worse(data, syntax):
    # When / Then
    with contextlib.suppress(InvalidInputError):
        check_end(data, syntax)


def test_what_is_beyond_the_bounds_is_taken_as_it_is(monkeypatch):
    # Given
    monkeypatch.setattr(data_set_end, "MAX_ELEMENTS", 100)
    monkeypatch.setattr(data_set_end, "MAX_INFLATED_BYTES", 1000)
    # When / Then
    check_end(HEAD + CODE * 200 + NATIVE[:-1], EXPLICIT)
    check_end(deflated(HEAD + element(PIXELS, b"OW", bytes(200_000)))[:-1], DEFLATED)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.dcm"))


@pytest.mark.parametrize("folder", [BUNDLED, SAMPLES], ids=["pydicom", "samples"])
def test_no_real_file_is_taken_for_one_that_is_cut_off(folder):
    # Given
    if not folder.is_dir():
        pytest.skip("the sample files are not here")
    refused = set()
    # When
    for file in _files(folder):
        data = file.read_bytes()
        try:
            head = read_head(data)
            data_set = data[head.data_set_offset :]
            read_identity(data_set, head.transfer_syntax_uid)
        except InvalidInputError:
            continue
        try:
            check_end(data_set, head.transfer_syntax_uid)
        except CutOffError:
            refused.add(file.name)
    # Then
    assert refused == (CUT_FILES if folder == BUNDLED else set())
