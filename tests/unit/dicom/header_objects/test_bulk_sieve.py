"""Objects without their bulk data: what is kept in every transfer syntax, and what says so."""

from __future__ import annotations

import io
import zlib

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from services.store.objects.identity import read_identity
from shared.dicom.header_objects.bulk_sieve import MAX_HEADER_BYTES, BulkSieve, is_bulk
from shared.dicom.header_objects.mark import Origin, Way
from shared.dicom.part10 import file_head
from shared.dicom.upper_layer.errors import MalformedDataSetError

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.70"
SYNTAXES = (IMPLICIT, EXPLICIT, BIG, DEFLATED, JPEG)
MG = "1.2.840.10008.5.1.4.1.1.1.2"
PIXELS = bytes(range(256)) * 512


def mammogram() -> Dataset:
    data_set = Dataset()
    data_set.SpecificCharacterSet = "ISO_IR 100"
    data_set.ImageType = ["ORIGINAL", "PRIMARY", ""]
    data_set.SOPClassUID, data_set.SOPInstanceUID = MG, "1.2.3.4"
    data_set.add_new(0x0009_0010, "LO", "GEMS_IDEN_01")
    data_set.add_new(0x0009_1001, "LO", "private")
    data_set.BodyPartThickness = "45.0"
    data_set.OrganDose = "0.01230"
    data_set.EntranceDoseInmGy = "4.5600"
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    data_set.Rows, data_set.Columns, data_set.BitsAllocated = 256, 512, 16
    data_set.BitsStored, data_set.HighBit, data_set.PixelRepresentation = 12, 11, 1
    data_set.SamplesPerPixel, data_set.PhotometricInterpretation = 1, "MONOCHROME2"
    data_set.add_new(0x0028_0106, "SS", -3)
    icon = Dataset()
    icon.Rows, icon.Columns, icon.BitsAllocated, icon.PixelRepresentation = 4, 4, 8, 0
    icon.add_new(0x7FE0_0010, "OW", b"ii" * 8)
    data_set.IconImageSequence = Sequence([icon])
    data_set.add_new(0x6000_0010, "US", 16)
    data_set.add_new(0x6000_3000, "OW", b"\1\0" * 500)
    return data_set


def encoded(data_set: Dataset, syntax: str, *, undefined: bool = False) -> bytes:
    """Return a data set with pixels as it comes over an association."""
    if syntax == JPEG:
        data_set.PixelData = encapsulate([PIXELS[:1000], PIXELS[:70001]])
        data_set["PixelData"].VR, data_set["PixelData"].is_undefined_length = "OB", True
    else:
        data_set.PixelData = PIXELS
        data_set["PixelData"].VR = "OW"
    if undefined:
        data_set["IconImageSequence"].is_undefined_length = True
        data_set.IconImageSequence[0].is_undefined_length_sequence_item = True
    data_set.add_new(0xFFFC_FFFC, "OB", b"\0" * 10)
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = syntax != BIG, syntax == IMPLICIT
    write_dataset(out, data_set)
    raw = out.getvalue()
    if syntax == DEFLATED:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        raw = deflater.compress(raw) + deflater.flush()
    return raw


def sieved(raw: bytes, syntax: str, step: int) -> BulkSieve:
    sieve = BulkSieve(syntax, lambda _begin: True)
    for at in range(0, len(raw), step):
        sieve.add(raw[at : at + step])
    return sieve


def header(sieve: BulkSieve, syntax: str, raw: bytes) -> bytes:
    return sieve.data_set(Origin(Way.LEFT_OUT, sieve.absent, syntax, len(raw)))


def opened(header: bytes) -> Dataset:
    head = file_head(sop_class_uid=MG, sop_instance_uid="1.2.3.4", transfer_syntax_uid=EXPLICIT)
    return dcmread(io.BytesIO(head + header))


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_header_of_every_transfer_syntax_is_kept(syntax, undefined) -> None:
    # Given
    raw = encoded(mammogram(), syntax, undefined=undefined)

    # When
    kept = [header(sieved(raw, syntax, step), syntax, raw) for step in (7, 4096, len(raw))]

    # Then
    assert kept[0] == kept[1] == kept[2]
    read, expected = opened(kept[0]), mammogram()
    del expected[0x6000_3000]
    mark = read.private_block(0x0009, "DOSEQR HEADER")
    assert mark[1].value == "LEFT OUT ON ARRIVAL"
    assert (mark[4].value, mark[5].value) == (syntax, len(raw))
    assert {0x7FE0_0010, 0x6000_3000} <= set(mark[3].value)
    for element in [
        element for element in read if element.tag.group == 0x0009 and element.tag.elem >> 8 == 0x11
    ]:
        del read[element.tag]
    del read[0x0009_0011]
    assert read.to_json_dict() == expected.to_json_dict()
    assert read.IconImageSequence[0].PixelData == b"ii" * 8


def test_mark_is_found_with_the_uids_of_an_object() -> None:
    # Given
    raw = encoded(mammogram(), JPEG)

    # When
    marked = header(sieved(raw, JPEG, 1000), JPEG, raw)

    # Then
    assert read_identity(marked, EXPLICIT).is_header
    assert not read_identity(raw, JPEG).is_header


def test_explicit_values_are_kept_byte_for_byte() -> None:
    # Given
    raw = encoded(mammogram(), EXPLICIT)

    # When
    sieve = sieved(raw, EXPLICIT, 500)

    # Then
    pixels, overlay = raw.index(b"\xe0\x7f\x10\x00"), raw.index(b"\x00\x60\x00\x30")
    assert sieve.header == raw[:overlay] + raw[overlay + 12 + 1000 : pixels]
    assert sieve.leaves_out


def test_object_that_is_cut_off_gives_no_header() -> None:
    for syntax in SYNTAXES:
        # Given
        raw = encoded(mammogram(), syntax)

        # When
        sieve = sieved(raw[:-1000], syntax, 4096)

        # Then
        with pytest.raises(MalformedDataSetError):
            header(sieve, syntax, raw)


def test_object_that_is_not_wanted_as_header_is_left_alone() -> None:
    # Given
    asked: list[bytes] = []

    def refuse(begin: bytes) -> bool:
        asked.append(begin)
        return False

    sieve = BulkSieve(EXPLICIT, refuse)

    # When
    sieve.add(encoded(mammogram(), EXPLICIT))

    # Then
    assert len(asked) == 1
    assert read_identity(asked[0], EXPLICIT).sop_instance_uid == "1.2.3.4"
    assert sieve.useless
    assert not sieve.leaves_out


def test_header_without_end_is_not_kept_in_memory() -> None:
    # Given
    sieve = BulkSieve(EXPLICIT, lambda _begin: True)
    sieve.add(b"\x29\x00\x10\x10OB\0\0" + (1 << 31).to_bytes(4, "little"))

    # When
    for _ in range(20):
        sieve.add(bytes(1 << 20))

    # Then
    assert sieve.useless
    assert len(sieve.header) <= MAX_HEADER_BYTES + (1 << 20)


def test_bulk_data_is_no_part_of_a_header() -> None:
    bulk = (0x7FE00010, 0x7FE00008, 0x7FE00001, 0x60003000, 0x60023000, 0x54001010, 0xFFFCFFFC)
    rest = (0x00280010, 0x60000010, 0x60013000, 0x00880200, 0x0040A730, 0x50000010)
    assert all(is_bulk(tag) for tag in bulk)
    assert not any(is_bulk(tag) for tag in rest)
