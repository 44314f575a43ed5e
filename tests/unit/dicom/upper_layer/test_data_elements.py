"""Elements of data sets as bytes: as pydicom writes them, cut off, damaged, and in the other VR."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom.dsutils import encode

from shared.dicom.header_objects.element_stream import ElementStream
from shared.dicom.upper_layer.data_elements import elements_of, sequence_of
from shared.dicom.upper_layer.errors import MalformedDataSetError

STUDY_INSTANCE_UID, STUDY_DESCRIPTION, SERIES_NUMBER = 0x0020000D, 0x00081030, 0x00200011
PRIVATE = 0x00091001

both_encodings = pytest.mark.parametrize("implicit", [True, False])
texts = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"), max_size=40)


def a_match(description: str = "Thorax", *, undefined_length: bool = False, depth: int = 1) -> Dataset:
    inner = Dataset()
    for _ in range(depth):
        item, inner = inner, Dataset()
        item.CodeValue = "CODE"
        inner.ProcedureCodeSequence = Sequence([item, Dataset()])
    inner.StudyInstanceUID = "1.2.3"
    inner.StudyDescription = description
    inner.SeriesNumber = "7"
    inner.add_new(PRIVATE, "UN", b"\1\2")
    if undefined_length:
        _make_undefined(inner)
    return inner


def _make_undefined(ds: Dataset) -> None:
    for element in ds:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                _make_undefined(item)


def encoded(ds: Dataset, *, implicit: bool) -> bytes:
    data = encode(ds, implicit, True)
    assert data is not None
    return data


@both_encodings
@given(description=texts, undefined_length=st.booleans(), depth=st.integers(0, 4))
def test_elements_of_the_top_level_are_found_beside_sequences(implicit, description, undefined_length, depth):
    # Given
    ds = a_match(description, undefined_length=undefined_length, depth=depth)
    # When
    elements = elements_of(encoded(ds, implicit=implicit))
    # Then
    assert elements[STUDY_INSTANCE_UID] == b"1.2.3\0"
    assert elements[STUDY_DESCRIPTION].decode().rstrip(" ") == description
    assert elements[SERIES_NUMBER] == b"7 "
    assert elements[PRIVATE] == b"\1\2"


@both_encodings
def test_a_peer_that_encodes_in_the_other_vr_is_understood(implicit):
    # When
    elements = elements_of(encoded(a_match(), implicit=not implicit))
    # Then
    assert elements[STUDY_INSTANCE_UID] == b"1.2.3\0"


@both_encodings
@given(st.data())
def test_a_data_set_that_is_cut_within_an_element_is_refused(implicit, data):
    # Given
    ds = Dataset()
    ds.StudyInstanceUID = "1.2.3"
    whole = encoded(ds, implicit=implicit)
    # When
    cut = data.draw(st.integers(1, len(whole) - 1))
    # Then
    with pytest.raises(MalformedDataSetError):
        elements_of(whole[:cut])


@both_encodings
@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_sequence_of_undefined_length_that_is_cut_is_refused(implicit, cut):
    # Given
    ds = a_match(undefined_length=True)
    for keyword in ("StudyInstanceUID", "StudyDescription", "SeriesNumber"):
        delattr(ds, keyword)
    del ds[PRIVATE]
    # When / Then
    with pytest.raises(MalformedDataSetError):
        elements_of(encoded(ds, implicit=implicit)[:-cut])


@both_encodings
def test_sequences_within_sequences_without_end_are_refused(implicit):
    # Given
    opened = (
        b"\x08\x00\x32\x10"
        + (b"" if implicit else b"SQ\0\0")
        + b"\xff" * 4
        + b"\xfe\xff\x00\xe0"
        + b"\xff" * 4
    )
    # When / Then
    with pytest.raises(MalformedDataSetError):
        elements_of(opened * 5_000)


@both_encodings
@given(st.binary(max_size=100))
def test_random_bytes_are_read_or_refused(implicit, data):
    # When / Then
    with contextlib.suppress(MalformedDataSetError):
        elements_of(data)


@both_encodings
@given(place=st.integers(0, 120), damage=st.binary(min_size=1, max_size=4), undefined_length=st.booleans())
def test_a_damaged_data_set_is_read_or_refused(implicit, place, damage, undefined_length):
    # Given
    data = bytearray(encoded(a_match(undefined_length=undefined_length), implicit=implicit))
    data[place : place + len(damage)] = damage
    # When / Then
    with contextlib.suppress(MalformedDataSetError):
        elements_of(bytes(data))


@pytest.mark.parametrize(("vr", "implicit"), [(b"UN", True), (b"UN", False), (b"SQ", True), (b"SQ", False)])
def test_items_in_the_other_form_are_passed_over(vr, implicit):
    # Given what mammographs write: UN with explicit items, where implicit ones are due (PS3.5 6.2.2, note 2)
    inner = Dataset()
    inner.add_new(0x00080119, "UC", "x" * 300)
    item = (
        b"\xfe\xff\0\xe0" + b"\xff" * 4 + encoded(inner, implicit=implicit) + b"\xfe\xff\x0d\xe0" + bytes(4)
    )
    sequence = b"\x40\0\x60\x02" + vr + b"\0\0" + b"\xff" * 4 + item * 2 + b"\xfe\xff\xdd\xe0" + bytes(4)
    data = b"\x08\0\x16\0UI\x04\x001.2\0" + sequence + b"\x40\0\x09\xa3SH\x02\0NA"
    # When
    stream = ElementStream("1.2.840.10008.1.2.1")
    for at in range(len(data)):
        stream.add(data[at : at + 1])
    # Then
    assert elements_of(data) == {0x00080016: b"1.2\0", 0x0040A309: b"NA"}
    assert stream.whole


PROCEDURE_CODES = 0x00081032


@both_encodings
@given(undefined_length=st.booleans(), depth=st.integers(1, 4))
def test_items_of_a_sequence_are_found_whatever_is_within_them(implicit, undefined_length, depth):
    # Given
    ds = a_match(undefined_length=undefined_length, depth=depth)
    data = encoded(ds, implicit=implicit)
    # When
    items = sequence_of(data, PROCEDURE_CODES)
    # Then
    assert [item.get(0x00080100) for item in items] == [b"CODE", None]
    assert sequence_of(data, 0x00081199) == []


@both_encodings
@pytest.mark.parametrize(
    "content",
    [
        b"\xfe\xff\x0d\xe0\0\0\0\0",
        b"\xfe\xff\x00\xe0\x10\0\0\0short",
        b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
        b"\xfe\xff",
    ],
    ids=["no item", "a short item", "an item without end", "cut off"],
)
def test_a_sequence_whose_items_do_not_fit_is_malformed(implicit, content):
    # Given
    head = b"\x08\0\x99\x11" if implicit else b"\x08\0\x99\x11SQ\0\0"
    data = head + len(content).to_bytes(4, "little") + content
    # When / Then
    with pytest.raises(MalformedDataSetError):
        sequence_of(data, 0x00081199)
