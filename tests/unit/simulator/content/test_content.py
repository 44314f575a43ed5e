"""Made data sets are valid DICOM and hold what dose is read from."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from simulator.archive.model import ArchiveMatch, Instance, objects_of
from simulator.content import RECIPES, ObjectEncoder, build, encode
from tests.support.peers import studies as factories


def made(content: str) -> Dataset:
    study = factories.study(factories.series("ct_image", 2), factories.series(content))
    return build(list(objects_of(study))[-1])


def numbers(ds: Dataset, concept: str) -> list[float]:
    """Return the values of all NUM items of a concept, wherever they stand in the tree."""
    found = []
    for item in ds.get("ContentSequence", []):
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodeValue == concept:
            found.append(float(item.MeasuredValueSequence[0].NumericValue))
        found += numbers(item, concept)
    return found


@pytest.mark.parametrize("content", RECIPES)
def test_object_is_a_readable_file_with_its_identity(content):
    # Given
    ds = made(content)
    file = BytesIO()

    # When
    ds.save_as(file, enforce_file_format=True)
    file.seek(0)
    again = dcmread(file)

    # Then
    assert again.SOPClassUID == again.file_meta.MediaStorageSOPClassUID == RECIPES[content].sop_class_uid
    assert again.Modality == RECIPES[content].modality
    assert again == ds


@pytest.mark.parametrize("content", RECIPES)
def test_content_is_the_same_each_time(content):
    study = factories.study(factories.series(content))
    match = next(iter(objects_of(study)))

    assert encode(build(match), implicit_vr=True) == encode(build(match), implicit_vr=True)


@pytest.mark.parametrize("content", [name for name in RECIPES if "image" in name or "capture" in name])
def test_pixel_data_has_the_size_in_the_header(content):
    ds = made(content)

    frames = int(ds.get("NumberOfFrames", 1))
    assert len(ds.PixelData) == ds.Rows * ds.Columns * ds.BitsAllocated // 8 * ds.SamplesPerPixel * frames


def test_ct_report_adds_up_its_events():
    # Given
    ds = made("rdsr_ct")

    # Then
    assert numbers(ds, "113813")[0] == pytest.approx(sum(numbers(ds, "113838")), abs=0.1)
    assert numbers(ds, "113812") == [len(numbers(ds, "113830"))]


def test_fluoroscopy_report_adds_up_its_events():
    ds = made("rdsr_fl")

    assert numbers(ds, "113722")[0] == pytest.approx(sum(numbers(ds, "122130")), abs=1e-6)
    assert numbers(ds, "113730")[0] == pytest.approx(sum(numbers(ds, "113742")), abs=0.1)


def test_mammography_report_has_a_dose_for_each_view():
    ds = made("rdsr_mg")

    assert len(numbers(ds, "111637")) == 2
    assert sum(numbers(ds, "111637")) == pytest.approx(sum(numbers(ds, "111631")), abs=0.1)


@pytest.mark.parametrize(
    ("content", "keyword"),
    [
        ("ct_image", "CTDIvol"),
        ("philips_dose_info", "ExposureDoseSequence"),
        ("dx_image", "ImageAndFluoroscopyAreaDoseProduct"),
        ("cr_image", "ExposureInuAs"),
        ("mg_image", "OrganDose"),
        ("pet_image", "RadiopharmaceuticalInformationSequence"),
        ("nm_image", "RadiopharmaceuticalInformationSequence"),
    ],
)
def test_header_holds_the_dose(content, keyword):
    assert made(content).get(keyword)


def test_key_objects_name_an_object_of_the_study():
    ds = made("key_objects")

    assert (
        ds.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPClassUID
        == RECIPES["ct_image"].sop_class_uid
    )


def test_text_outside_latin_is_sent_as_utf_8():
    study = factories.study(factories.series("ct_image"), description="胸部 CT")

    ds = build(next(iter(objects_of(study))))

    assert ds.SpecificCharacterSet == "ISO_IR 192"
    assert "胸部".encode() in encode(ds, implicit_vr=True)


def test_file_is_sent_byte_for_byte(tmp_path):
    # Given
    ds = made("ct_image")
    path = tmp_path / "one.dcm"
    ds.save_as(path, enforce_file_format=True)
    study = factories.study(factories.series("ct_image"))
    instance = Instance(ds.SOPInstanceUID, ds.SOPClassUID, "file", path=path)

    # When
    sent = ObjectEncoder().encode(ArchiveMatch(study, study.series[0], instance), implicit_vr=False)

    # Then
    assert path.read_bytes().endswith(sent.data_set)
    assert sent.data_set == encode(ds, implicit_vr=False)


def test_encoder_keeps_no_more_than_its_limit():
    # Given
    encoder = ObjectEncoder(limit_bytes=20_000)
    study = factories.study(factories.series("ct_image", 5))

    # When
    for match in objects_of(study):
        encoder.encode(match, implicit_vr=True)

    # Then
    assert encoder._size_bytes <= 20_000
    assert len(encoder._kept) == 2
