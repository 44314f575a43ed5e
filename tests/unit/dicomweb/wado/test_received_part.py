"""A part is a whole DICOM file, or its problem is named."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from shared.dicom.header_objects.element_stream import ElementStream
from shared.dicom.relay.fetched_object import FetchedObject
from shared.dicomweb.wado.multipart import MultipartPart
from shared.dicomweb.wado.received_part import ReceivedPart


def file_of(transfer_syntax: str, *, undefined: bool = False) -> bytes:
    """Return a DICOM file with sequences, and pixels."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    item = Dataset()
    item.CodeValue, item.ConceptNameCodeSequence = "x", Sequence([Dataset()])
    ds.ConceptNameCodeSequence = Sequence([item, Dataset()])
    if undefined:
        ds["ConceptNameCodeSequence"].is_undefined_length = True
        item.is_undefined_length_sequence_item = True
    ds.PatientName = "A^B"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    if transfer_syntax == JPEGBaseline8Bit:
        ds.add_new(0x7FE00010, "OB", b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\4\0\0\0\1\2\3\4")
        ds["PixelData"].is_undefined_length = True
    else:
        ds.add_new(0x7FE00010, "OW", bytes(3000))
    buffer = DicomBytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return bytes(buffer.getvalue())


def read(content: bytes, announced: int | None = None, size: int = 100) -> tuple[ReceivedPart, bytes]:
    received = FetchedObject(BytesIO, lambda _size: None, 1 << 20)
    reader = ReceivedPart(received)
    headers = {} if announced is None else {"content-length": str(announced)}
    chunks = (content[at : at + size] for at in range(0, len(content), size))
    reader.read(MultipartPart(headers, chunks))
    assert isinstance(received.file, BytesIO)
    return reader, received.file.getvalue()


@pytest.mark.parametrize("size", [1, 13, 5000])
@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize(
    "transfer_syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGBaseline8Bit]
)
def test_a_whole_file_is_taken_without_its_head(transfer_syntax, undefined, size):
    # Given
    content = file_of(transfer_syntax, undefined=undefined)
    # When
    reader, data_set = read(content, announced=len(content), size=size)
    # Then
    assert (reader.problem, reader.transfer_syntax_uid) == ("", transfer_syntax)
    assert content.endswith(data_set)
    assert len(data_set) > 50


@pytest.mark.parametrize("transfer_syntax", [ImplicitVRLittleEndian, JPEGBaseline8Bit])
def test_a_file_that_is_cut_off_anywhere_in_an_element_has_a_problem(transfer_syntax):
    # Given
    content = file_of(transfer_syntax, undefined=True)
    whole = ElementStream(transfer_syntax)
    start = len(content) - len(read(content)[1])
    for at in range(start, len(content) - 1):
        # When
        ends_at_element = whole.whole
        reader, _ = read(content[:at])
        # Then
        assert bool(reader.problem) != ends_at_element, at - start
        whole.add(content[at : at + 1])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is no DICOM file"),
        (b"<html>" * 20_000, "is no DICOM file"),
        (bytes(128) + b"DICM", "must"),
    ],
)
def test_what_is_no_file_has_a_problem(content, problem):
    reader, _ = read(content)
    assert problem in reader.problem


def test_a_part_of_another_length_than_announced_has_a_problem():
    content = file_of(ImplicitVRLittleEndian)
    reader, _ = read(content, announced=len(content) + 1)
    assert reader.problem == "is not as long as it announces"


def test_delimiters_that_do_not_belong_are_no_whole_data_set():
    # Given
    end = ElementStream(ExplicitVRLittleEndian)
    # When
    end.add(b"\xfe\xff\xdd\xe0\0\0\0\0")
    # Then
    assert not end.whole
