"""What all made data sets share: patient, study, series, equipment and SOP common (PS3.3 C.7, C.12)."""

import datetime as dt
import hashlib
import random
from dataclasses import dataclass

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from simulator.archive.model import ArchiveMatch, Series, Study, format_time

IMPLEMENTATION_CLASS_UID = "2.25.190146791043182537444806132342625375407"

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
COMPUTED_RADIOGRAPHY = "1.2.840.10008.5.1.4.1.1.1"
DIGITAL_X_RAY = "1.2.840.10008.5.1.4.1.1.1.1"
MAMMOGRAPHY = "1.2.840.10008.5.1.4.1.1.1.2"
MAMMOGRAPHY_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
BREAST_TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
NUCLEAR_MEDICINE = "1.2.840.10008.5.1.4.1.1.20"
PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128"
X_RAY_ANGIOGRAPHY = "1.2.840.10008.5.1.4.1.1.12.1"
X_RAY_FLUOROSCOPY = "1.2.840.10008.5.1.4.1.1.12.2"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
OPHTHALMIC_TOMOGRAPHY = "1.2.840.10008.5.1.4.1.1.77.1.5.4"
PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
X_RAY_RADIATION_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.67"
RADIOPHARMACEUTICAL_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.68"
PATIENT_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.73"


@dataclass(frozen=True, slots=True)
class Device:
    """The equipment that made a series."""

    manufacturer: str
    model: str


_DEVICES = {
    "CT": (
        Device("SIEMENS", "SOMATOM Force"),
        Device("GE MEDICAL SYSTEMS", "Revolution CT"),
        Device("Philips", "Ingenuity CT"),
        Device("TOSHIBA", "Aquilion ONE"),
    ),
    "MG": (Device("HOLOGIC, Inc.", "Selenia Dimensions"), Device("GE HEALTHCARE", "Senographe Pristina")),
    "XA": (Device("Philips Medical Systems", "AlluraClarity"), Device("SIEMENS", "Artis zee")),
    "RF": (Device("SIEMENS", "Luminos dRF Max"), Device("GE Healthcare Surgery", "OEC 9900 Elite")),
    "DX": (
        Device("Canon Inc.", "CXDI"),
        Device("DRGEM", "GXR-S"),
        Device("GE Healthcare", "Discovery XR656"),
    ),
    "CR": (Device("KODAK", "DR 7500"), Device("FUJIFILM Corporation", "FCR")),
    "PT": (Device("SIEMENS", "Biograph64_mCT"),),
    "NM": (Device("SIEMENS NM", "Symbia T16"),),
}
_OTHER_DEVICES = (Device("Sample Imaging", "Model 1"),)


def rng_for(uid: str) -> random.Random:
    """Return the source of randomness of one entity: the same numbers for the same UID, always."""
    return random.Random(uid)  # noqa: S311 (lifelike numbers, no secrets)


def derived_uid(base: str, *parts: object) -> str:
    """Return a UID below 2.25 that follows from another one."""
    digest = hashlib.sha256("/".join([base, *map(str, parts)]).encode("utf-8")).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def device_of(study: Study, modality: str) -> Device:
    """Return the equipment of one kind that a study was made with."""
    devices = _DEVICES.get(modality, _OTHER_DEVICES)
    return rng_for(study.study_instance_uid + modality).choice(devices)


def main_modality(study: Study) -> str:
    """Return the modality of the first series that is no report."""
    codes = [code for code in study.modalities_in_study if code not in {"SR", "PR", "KO"}]
    return codes[0] if codes else "CT"


def study_moment(study: Study) -> dt.datetime:
    """Return when a study began; an undated one at a fixed day."""
    return dt.datetime.combine(study.date or dt.date(2020, 1, 1), study.time or dt.time(12))


def series_of(match: ArchiveMatch) -> Series:
    """Return the series of an object.

    Raises:
        ValueError: the match is no object.
    """
    if match.series is None or match.instance is None:
        raise ValueError("only objects have content")
    return match.series


def common(match: ArchiveMatch, sop_class_uid: str) -> Dataset:
    """Return a data set with the modules that every object has."""
    study, series, instance = match.study, series_of(match), match.instance
    assert instance is not None
    device = device_of(
        study, main_modality(study) if series.modality in {"SR", "PR", "KO"} else series.modality
    )
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    ds.file_meta.MediaStorageSOPInstanceUID = UID(instance.sop_instance_uid)
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    ds.SpecificCharacterSet = _character_set(study, series)
    ds.SOPClassUID = sop_class_uid
    ds.SOPInstanceUID = instance.sop_instance_uid
    ds.InstanceNumber = instance.instance_number
    _patient(ds, study)
    ds.Manufacturer = device.manufacturer
    ds.ManufacturerModelName = device.model
    ds.InstitutionName = "Sample Hospital"
    ds.DeviceSerialNumber = str(100000 + rng_for(device.model).randrange(900000))
    ds.SoftwareVersions = "1.0"
    _study(ds, study)
    _series(ds, study, series)
    return ds


def _character_set(study: Study, series: Series) -> str:
    texts = (study.patient_name, study.description, series.description, series.station_name)
    try:
        "".join(text or "" for text in texts).encode("latin-1")
    except UnicodeEncodeError:
        return "ISO_IR 192"
    return "ISO_IR 100"


def _patient(ds: Dataset, study: Study) -> None:
    rng = rng_for(study.patient_id)
    ds.PatientName = study.patient_name
    ds.PatientID = study.patient_id
    ds.PatientBirthDate = f"{rng.randrange(1930, 2005)}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}"
    ds.PatientSex = rng.choice("MF")
    ds.PatientAge = f"{rng.randrange(20, 90):03d}Y"
    ds.PatientSize = f"{rng.uniform(1.5, 1.95):.2f}"
    ds.PatientWeight = str(rng.randrange(45, 120))


def _study(ds: Dataset, study: Study) -> None:
    ds.StudyInstanceUID = study.study_instance_uid
    ds.StudyDate = study.date.strftime("%Y%m%d") if study.date else ""
    ds.StudyTime = format_time(study.time)
    ds.AccessionNumber = study.accession_number
    ds.ReferringPhysicianName = ""
    ds.StudyID = study.study_id
    if study.description is not None:
        ds.StudyDescription = study.description[:64]


def _series(ds: Dataset, study: Study, series: Series) -> None:
    moment = study_moment(study)
    ds.SeriesInstanceUID = series.series_instance_uid
    ds.Modality = series.modality
    ds.SeriesNumber = series.series_number
    if series.description is not None:
        ds.SeriesDescription = series.description[:64]
    if series.station_name is not None:
        ds.StationName = series.station_name[:16]
    if study.date is not None:
        ds.SeriesDate = moment.strftime("%Y%m%d")
        ds.SeriesTime = format_time(series.time or moment.time())
    ds.ContentDate = moment.strftime("%Y%m%d")
    ds.ContentTime = moment.strftime("%H%M%S")


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return a code sequence item (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item
