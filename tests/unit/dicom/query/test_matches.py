"""Matches as plain values, from the bytes that come: what is odd is tolerated, what is broken is reported."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from shared.dicom.query.matches import (
    CUT_MARK,
    TEXT_MAX_LENGTH,
    MalformedMatchError,
    Match,
    ObjectMatch,
    match_of,
    object_match,
    objects_of_series,
    series_match,
    study_match,
)

STUDY_DESCRIPTION = b"\x08\x00\x30\x10"
SPECIFIC_CHARACTER_SET = b"\x08\x00\x05\x00"
STUDY_INSTANCE_UID = b"\x20\x00\x0d\x00"


def match(**values: object) -> Match:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return match_of(encode(ds, True, True))


def raw(*elements: tuple[bytes, bytes]) -> Match:
    """Return a match of elements in implicit VR little endian."""
    data = b"".join(tag + len(value).to_bytes(4, "little") + value for tag, value in elements)
    return match_of(data)


def test_a_study_is_read_whole():
    # When
    study = study_match(
        match(
            StudyInstanceUID="1.2.3",
            ModalitiesInStudy=["CT", "SR", "CT"],
            StudyDescription=" Thorax ",
            StudyDate="20240305",
            StudyTime="081500",
            AccessionNumber="A1",
            NumberOfStudyRelatedSeries="3",
            NumberOfStudyRelatedInstances="120",
        )
    )
    # Then
    assert study.study_instance_uid == "1.2.3"
    assert study.modalities == ("CT", "SR")
    assert (study.description, study.station_name) == ("Thorax", None)
    assert (study.study_date, study.study_time, study.accession_number) == ("20240305", "081500", "A1")
    assert (study.series_count, study.instance_count) == (3, 120)


def test_series_and_objects_are_read_with_what_they_belong_to():
    # When
    series = series_match(
        match(StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3", Modality="SR", SeriesNumber="-4")
    )
    found = object_match(match(SeriesInstanceUID="1.2.3", SOPInstanceUID="1.2.3.4", SOPClassUID="1.2.840"))
    # Then
    assert (series.study_instance_uid, series.series_instance_uid) == ("1.2", "1.2.3")
    assert (series.modality, series.series_number, series.instance_count) == ("SR", -4, None)
    assert (found.study_instance_uid, found.series_instance_uid, found.sop_instance_uid) == (
        None,
        "1.2.3",
        "1.2.3.4",
    )
    assert found.sop_class_uid == "1.2.840"


@pytest.mark.parametrize("read", [study_match, series_match, object_match])
@pytest.mark.parametrize("uid", ["", "no uid", "1..2", "1." * 40])
def test_a_match_without_valid_uid_of_its_level_is_broken(read, uid):
    # Given
    data = b"".join(
        tag + len(uid).to_bytes(4, "little") + uid.encode()
        for tag in (b"\x08\x00\x18\x00", b"\x20\x00\x0d\x00", b"\x20\x00\x0e\x00")
    )
    # When / Then
    with pytest.raises(MalformedMatchError):
        read(match_of(data))


@pytest.mark.parametrize("encoded", [None, b"\x08", STUDY_INSTANCE_UID + b"\x20\x00\x00\x001.2.3"])
def test_a_match_that_is_absent_or_cut_off_is_broken(encoded):
    # When / Then
    with pytest.raises(MalformedMatchError):
        match_of(encoded)


@pytest.mark.parametrize("value", ["12345678901234567890", "x", "1.5", "", "\\3", "9" * 5000])
def test_a_number_that_is_none_is_not_returned(value):
    # Given
    given = raw((STUDY_INSTANCE_UID, b"1.2.3\0"), (b"\x20\x00\x06\x12", value.encode()))
    # When / Then
    assert study_match(given).series_count is None


@pytest.mark.parametrize(
    ("character_set", "value", "text"),
    [
        ("ISO_IR 100", "Müller".encode("latin-1"), "Müller"),
        ("ISO_IR 192", "Ωμέγα".encode(), "Ωμέγα"),
        ("GB18030", "胸部".encode("gb18030"), "胸部"),
        ("ISO_IR 144", "Грудь".encode("iso8859-5"), "Грудь"),
        ("\\ISO 2022 IR 87", b"\x1b$B6;It\x1b(B CT", "胸部 CT"),
        ("", "Müller".encode("latin-1"), "Müller"),
        ("NO SUCH SET", "Müller".encode("latin-1"), "Müller"),
        ("ISO_IR 192", b"M\xfcller", "Müller"),
        ("\\ISO 2022 IR 87", b"\x1b$Bx", None),
    ],
)
def test_texts_are_read_in_their_character_set(character_set, value, text):
    # Given
    given = raw(
        (SPECIFIC_CHARACTER_SET, character_set.encode()),
        (STUDY_DESCRIPTION, value),
        (STUDY_INSTANCE_UID, b"1.2.3\0"),
    )
    # When
    description = study_match(given).description
    # Then
    assert description == text if text is not None else description


@pytest.mark.parametrize("implicit", [True, False])
@given(
    values=st.dictionaries(
        st.sampled_from(["StudyDescription", "AccessionNumber", "StudyDate", "ModalitiesInStudy"]),
        st.text(max_size=16),
    )
)
def test_what_is_read_can_be_kept_by_any_database(implicit, values):
    # Given
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    data = encode(ds, implicit, True) or b""
    tags = {"StudyDescription": b"\x08\x00\x30\x10LO", "AccessionNumber": b"\x08\x00\x50\x00SH"}
    for keyword, text in values.items():
        value = text.encode("utf-8", "surrogatepass")
        tag = tags.get(keyword, b"\x08\x00\x20\x00DA")
        length = len(value)
        data += tag[:4] + length.to_bytes(4, "little") if implicit else tag + length.to_bytes(2, "little")
        data += value
    # When
    read = match_of(data)
    texts = [read.text(keyword) for keyword in ("StudyDescription", "AccessionNumber", "StudyDate")]
    # Then
    for text in texts:
        assert text is None or (text.encode() and "\0" not in text)


@given(st.binary(max_size=100))
def test_random_bytes_are_a_match_or_broken(data):
    # When / Then
    for read in (study_match, series_match, object_match):
        with contextlib.suppress(MalformedMatchError):
            read(match_of(data))


@pytest.mark.parametrize("value", [b"CT\\SR", b"CT\0SR\0", b"CT\\\\SR ", b" CT \\ SR\0\0"])
def test_modalities_are_read_with_whatever_separates_them(value):
    # When
    study = study_match(raw((b"\x08\x00\x61\x00", value), (STUDY_INSTANCE_UID, b"1.2")))
    # Then
    assert study.modalities == ("CT", "SR")


@pytest.mark.parametrize(
    ("value", "sop_class_uid"),
    [
        (b"1.2.840\\1.2.840", "1.2.840"),
        (b"1.2.840\\1.2.841", None),
        (b" 1.2.840\0\0", "1.2.840"),
        (b"CT", None),
    ],
)
def test_a_class_that_is_returned_twice_is_one(value, sop_class_uid):
    # When
    found = object_match(raw((b"\x08\x00\x16\x00", value), (b"\x08\x00\x18\x00", b"1.2")))
    # Then
    assert found.sop_class_uid == sop_class_uid


def test_a_long_text_is_cut_with_a_mark():
    # Given
    given = raw((STUDY_INSTANCE_UID, b"1.2.3\0"), (STUDY_DESCRIPTION, b"X" * (1 << 20)))
    # When
    description = study_match(given).description
    # Then
    assert description is not None
    assert len(description) == TEXT_MAX_LENGTH
    assert description.endswith(CUT_MARK)


def test_a_uid_that_cannot_be_read_is_named_with_its_tag():
    # Given
    given = raw((STUDY_INSTANCE_UID, b"1.2." + b"9" * 61))
    # When
    with pytest.raises(MalformedMatchError) as caught:
        study_match(given)
    # Then
    assert str(caught.value) == "its Study Instance UID (0020,000D) must have at most 64 characters"


def test_objects_that_name_another_series_are_left_out() -> None:
    # Given: the second is returned without its series
    matches = [
        ObjectMatch("1.1.1", series_instance_uid="1.1"),
        ObjectMatch("1.1.2"),
        ObjectMatch("1.2.1", series_instance_uid="1.2"),
    ]
    # When
    kept = objects_of_series(matches, "1.1")
    # Then
    assert [match.sop_instance_uid for match in kept] == ["1.1.1", "1.1.2"]
