"""Data sets made from descriptions: what a scripted PACS sends."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import split_dataset

from simulator.archive.model import ArchiveMatch, Instance
from simulator.content import base, images
from simulator.content.ct_report import fill_ct_report
from simulator.content.other_reports import (
    fill_enhanced_ct_report,
    fill_key_objects,
    fill_measurements,
    fill_patient_dose_report,
    fill_presentation_state,
    fill_radiation_summary,
    fill_radiopharmaceutical_report,
    fill_text_report,
)
from simulator.content.projection_report import (
    fill_fluoroscopy_report,
    fill_mammography_report,
    fill_radiography_report,
)

#: Encoded objects that are cached because they may be requested again.
_CACHE_BYTES = 16 * 1024 * 1024

_Fill = Callable[[Dataset, ArchiveMatch], None]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one kind of object is made: its SOP class, its usual modality, and what fills it."""

    sop_class_uid: str
    modality: str
    fill: _Fill


RECIPES: dict[str, Recipe] = {
    "rdsr_ct": Recipe(base.X_RAY_RADIATION_DOSE_SR, "SR", fill_ct_report),
    "rdsr_fl": Recipe(base.X_RAY_RADIATION_DOSE_SR, "SR", fill_fluoroscopy_report),
    "rdsr_dx": Recipe(base.X_RAY_RADIATION_DOSE_SR, "SR", fill_radiography_report),
    "rdsr_mg": Recipe(base.X_RAY_RADIATION_DOSE_SR, "SR", fill_mammography_report),
    "rrdsr": Recipe(base.RADIOPHARMACEUTICAL_DOSE_SR, "SR", fill_radiopharmaceutical_report),
    "patient_dose": Recipe(base.PATIENT_DOSE_SR, "SR", fill_patient_dose_report),
    "esr_ct": Recipe(base.ENHANCED_SR, "SR", fill_enhanced_ct_report),
    "esr_fl": Recipe(base.ENHANCED_SR, "SR", fill_radiation_summary),
    "esr_other": Recipe(base.ENHANCED_SR, "SR", fill_measurements),
    "text_sr": Recipe(base.BASIC_TEXT_SR, "SR", fill_text_report),
    "comprehensive_sr": Recipe(base.COMPREHENSIVE_SR, "SR", fill_measurements),
    "key_objects": Recipe(base.KEY_OBJECT_SELECTION, "KO", fill_key_objects),
    "presentation_state": Recipe(base.PRESENTATION_STATE, "PR", fill_presentation_state),
    "ct_image": Recipe(base.CT_IMAGE, "CT", images.fill_ct_image),
    "ct_localizer": Recipe(base.CT_IMAGE, "CT", images.fill_ct_localizer),
    "philips_dose_info": Recipe(base.SECONDARY_CAPTURE, "CT", images.fill_philips_dose_info),
    "toshiba_dose_summary": Recipe(base.SECONDARY_CAPTURE, "CT", images.fill_toshiba_dose_summary),
    "secondary_capture": Recipe(base.SECONDARY_CAPTURE, "OT", images.fill_secondary_capture),
    "dx_image": Recipe(base.DIGITAL_X_RAY, "DX", images.fill_dx_image),
    "cr_image": Recipe(base.COMPUTED_RADIOGRAPHY, "CR", images.fill_cr_image),
    "px_image": Recipe(base.DIGITAL_X_RAY, "PX", images.fill_px_image),
    "mg_image": Recipe(base.MAMMOGRAPHY, "MG", images.fill_mg_image),
    "mg_for_processing": Recipe(base.MAMMOGRAPHY_FOR_PROCESSING, "MG", images.fill_mg_for_processing),
    "tomosynthesis": Recipe(base.BREAST_TOMOSYNTHESIS, "MG", images.fill_tomosynthesis),
    "xa_image": Recipe(base.X_RAY_ANGIOGRAPHY, "XA", images.fill_xa_image),
    "rf_image": Recipe(base.X_RAY_FLUOROSCOPY, "RF", images.fill_xa_image),
    "pet_image": Recipe(base.PET_IMAGE, "PT", images.fill_pet_image),
    "nm_image": Recipe(base.NUCLEAR_MEDICINE, "NM", images.fill_nm_image),
    "mr_image": Recipe(base.MR_IMAGE, "MR", images.fill_mr_image),
    "us_image": Recipe(base.ULTRASOUND, "US", images.fill_us_image),
    "ophthalmic_image": Recipe(base.OPHTHALMIC_TOMOGRAPHY, "OPT", images.fill_ophthalmic_image),
}


@dataclass(frozen=True, slots=True)
class EncodedObject:
    """An object as it goes over the wire."""

    sop_class_uid: str
    sop_instance_uid: str
    data_set: bytes


def build(match: ArchiveMatch) -> Dataset:
    """Return the data set of an object, with file meta information, as its description has it.

    Raises:
        ValueError: the match is no object, or its content has no recipe.
    """
    instance = match.instance
    if instance is None:
        raise ValueError("only objects have content")
    if instance.path is not None:
        return dcmread(instance.path)
    recipe = RECIPES.get(instance.content)
    if recipe is None:
        raise ValueError(f"content: {instance.content} is none of {', '.join(RECIPES)}")
    ds = base.common(match, instance.sop_class_uid)
    recipe.fill(ds, match)
    return ds


def encode(ds: Dataset, *, implicit_vr: bool) -> bytes:
    """Return a data set in one of the two uncompressed little endian transfer syntaxes."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, implicit_vr
    write_dataset(buffer, ds)
    return buffer.getvalue()


def _from_file(path: Path, transfer_syntax_uid: str | None, *, implicit_vr: bool) -> bytes:
    """Return the data set of a file, byte for byte where its transfer syntax was agreed on."""
    meta, offset = split_dataset(path)
    agreed = ImplicitVRLittleEndian if implicit_vr else ExplicitVRLittleEndian
    if transfer_syntax_uid is not None or agreed == meta.TransferSyntaxUID:
        return path.read_bytes()[offset:]
    return encode(dcmread(path), implicit_vr=implicit_vr)


#: Composite Instance Retrieve Without Bulk Data - GET (PS3.4 Z.6).
WITHOUT_BULK_DATA = "1.2.840.10008.5.1.4.1.2.5.3"


def without_bulk_data(match: ArchiveMatch, *, implicit_vr: bool) -> EncodedObject:
    """Return an object as it goes over the wire where its bulk data is not wanted.

    Raises:
        ValueError: the match is no object, or its content has no recipe.
        OSError: its file cannot be read.
    """
    ds = build(match)
    if "PixelData" in ds:
        del ds.PixelData
    assert match.instance is not None
    encoded = encode(ds, implicit_vr=implicit_vr)
    return EncodedObject(match.instance.sop_class_uid, match.instance.sop_instance_uid, encoded)


class ObjectEncoder:
    """Encodes objects for sending; those that were encoded last are kept, up to a number of bytes."""

    def __init__(self, limit_bytes: int = _CACHE_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, Instance, bool], EncodedObject] = OrderedDict()
        self._size_bytes = 0

    def encode(self, match: ArchiveMatch, *, implicit_vr: bool) -> EncodedObject:
        """Return an object as it goes over the wire.

        Raises:
            ValueError: the match is no object, or its content has no recipe.
            OSError: its file cannot be read.
        """
        instance = match.instance
        if instance is None:
            raise ValueError("only objects have content")
        key = (match.study.study_instance_uid, instance, implicit_vr)
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None:
            return kept
        if instance.path is not None:
            encoded = _from_file(instance.path, instance.transfer_syntax_uid, implicit_vr=implicit_vr)
        else:
            encoded = encode(build(match), implicit_vr=implicit_vr)
        made = EncodedObject(instance.sop_class_uid, instance.sop_instance_uid, encoded)
        self._keep(key, made)
        return made

    def _keep(self, key: tuple[str, Instance, bool], made: EncodedObject) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = made
            self._size_bytes += len(made.data_set)
            while self._size_bytes > self._limit_bytes:
                _key, gone = self._kept.popitem(last=False)
                self._size_bytes -= len(gone.data_set)
