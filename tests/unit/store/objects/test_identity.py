import struct
import zlib
from io import BytesIO
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from services.store.objects.identity import read_identity
from shared.dicom.part10 import read_head
from shared.dicom.upper_layer.data_elements import MAX_ELEMENTS
from shared.errors import InvalidInputError
from tests.support.examples import examples

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50"
UIDS = {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
    "SOPInstanceUID": "1.2.3.4",
    "StudyInstanceUID": "1.2.3",
    "SeriesInstanceUID": "1.2.3.5",
}


def made(**changes: object) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = "Doe^J"
    ds.Rows = 4
    for keyword, value in (UIDS | changes).items():
        setattr(ds, keyword, value)
    return ds


def encoded(ds: Dataset, transfer_syntax_uid: str) -> bytes:
    from pydicom.filebase import DicomBytesIO

    out = DicomBytesIO()
    out.is_implicit_VR = transfer_syntax_uid == IMPLICIT
    out.is_little_endian = transfer_syntax_uid != BIG
    write_dataset(out, ds)
    if transfer_syntax_uid == DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return packer.compress(out.getvalue()) + packer.flush()
    return out.getvalue()


def nested(depth: int, *, undefined: bool) -> Sequence:
    item = Dataset()
    item.SOPInstanceUID = "9.9.9"  # in an item: not the object's own
    item.StudyInstanceUID = "9.9"
    if depth:
        item.ReferencedSeriesSequence = nested(depth - 1, undefined=undefined)
        item["ReferencedSeriesSequence"].is_undefined_length = undefined
    item.is_undefined_length_sequence_item = undefined
    return Sequence([item])


@pytest.mark.parametrize("transfer_syntax_uid", [IMPLICIT, EXPLICIT, BIG, DEFLATED, JPEG])
@pytest.mark.parametrize("undefined", [True, False])
def test_uids_are_read_in_every_encoding_past_nested_sequences(transfer_syntax_uid, undefined):
    # Given
    ds = made(ReferencedStudySequence=nested(5, undefined=undefined))
    ds["ReferencedStudySequence"].is_undefined_length = undefined
    # When
    identity = read_identity(encoded(ds, transfer_syntax_uid), transfer_syntax_uid)
    # Then
    assert identity.sop_class_uid == UIDS["SOPClassUID"]
    assert identity.sop_instance_uid == "1.2.3.4"
    assert identity.study_instance_uid == "1.2.3"
    assert identity.series_instance_uid == "1.2.3.5"


@pytest.mark.parametrize("keyword", UIDS)
def test_a_missing_uid_is_named(keyword):
    # Given
    ds = made()
    del ds[keyword]
    # When
    with pytest.raises(InvalidInputError) as caught:
        read_identity(encoded(ds, EXPLICIT), EXPLICIT)
    # Then
    assert caught.value.field.replace("_", "") == keyword.lower()


def test_a_sender_that_encodes_otherwise_than_negotiated_is_read():
    # Given
    data = encoded(made(), IMPLICIT)
    # When
    identity = read_identity(data, EXPLICIT)
    # Then
    assert identity.sop_instance_uid == "1.2.3.4"


def test_an_unknown_sequence_of_undefined_length_is_implicit_inside():
    # Given UN with undefined length: its content is Implicit VR Little Endian (PS3.5 6.2.2, note 2)
    inside = struct.pack("<HHL", 0x0008, 0x1155, 4) + b"1.2\0"
    unknown = b"\x09\x00\x10\x10UN\0\0\xff\xff\xff\xff" + struct.pack("<HHL", 0xFFFE, 0xE000, len(inside))
    unknown += inside + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    data = encoded(made(), EXPLICIT)
    group_10 = data.index(b"\x10\x00\x10\x00")
    # When
    identity = read_identity(data[:group_10] + unknown + data[group_10:], EXPLICIT)
    # Then
    assert identity.series_instance_uid == "1.2.3.5"


def test_a_bomb_is_not_inflated_to_its_end():
    # Given 256 MiB of nothing in 260 KiB
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    element = b"\x08\x00\x05\x00UT\0\0" + struct.pack("<L", 1 << 28)
    bomb = packer.compress(element) + packer.compress(bytes(1 << 28)) + packer.flush()
    # When
    with pytest.raises(InvalidInputError) as caught:
        read_identity(bomb, DEFLATED)
    # Then
    assert caught.value.field == "data_set"


def test_endless_elements_are_not_followed():
    # Given
    data = struct.pack("<HHL", 0x0008, 0x0001, 0) * (MAX_ELEMENTS + 1)
    # When
    with pytest.raises(InvalidInputError) as caught:
        read_identity(data, IMPLICIT)
    # Then
    assert "elements" in caught.value.problem


@given(st.binary(max_size=300), st.sampled_from([IMPLICIT, EXPLICIT, BIG, DEFLATED, "1.2.3"]))
def test_garbage_is_refused_and_nothing_worse(data, transfer_syntax_uid):
    # When
    try:
        identity = read_identity(data, transfer_syntax_uid)
    except InvalidInputError:
        return
    # Then
    assert identity.sop_instance_uid


@settings(max_examples=examples(100))
@given(st.data(), st.sampled_from([IMPLICIT, EXPLICIT, BIG]))
def test_a_damaged_data_set_is_read_or_refused_and_nothing_worse(data, transfer_syntax_uid):
    # Given
    ds = made(ReferencedStudySequence=nested(2, undefined=True))
    ds["ReferencedStudySequence"].is_undefined_length = True
    raw = bytearray(encoded(ds, transfer_syntax_uid))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(0, len(raw))) :]
    # When
    try:
        identity = read_identity(bytes(raw), transfer_syntax_uid)
    except InvalidInputError:
        return
    # Then
    assert set(identity.sop_instance_uid) <= set("0123456789.")


@pytest.mark.filterwarnings("ignore")  # pydicom complains of some of its own files
def test_pydicom_reads_the_same_uids_from_its_own_test_files():
    # Given every file of a study among the test files
    compared = 0
    for name in sorted((Path(pydicom.data.__file__).parent / "test_files").glob("*.dcm")):
        raw = BytesIO(name.read_bytes())
        try:
            ds = pydicom.dcmread(raw, stop_before_pixels=True, specific_tags=list(UIDS))
            head = read_head(raw.getvalue())
            expected = [ds[keyword].value for keyword in UIDS]
        except (InvalidInputError, KeyError, pydicom.errors.InvalidDicomError, EOFError):
            continue
        if not all(expected):
            continue
        # When
        identity = read_identity(raw.getvalue()[head.data_set_offset :], head.transfer_syntax_uid)
        # Then
        assert [
            identity.sop_class_uid,
            identity.sop_instance_uid,
            identity.study_instance_uid,
            identity.series_instance_uid,
        ] == expected, name
        compared += 1
    assert compared > 20
