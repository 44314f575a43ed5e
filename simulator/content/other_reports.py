"""The other reports: radiopharmaceutical and patient dose, Enhanced SR, text, key objects, displays."""

import datetime as dt

from pydicom.dataset import Dataset

from simulator.archive.model import ArchiveMatch
from simulator.content.base import derived_uid, rng_for, study_moment
from simulator.content.ct_report import fill_ct_report
from simulator.content.sr import (
    HAS_CONCEPT_MOD,
    Concept,
    coded,
    container,
    device_observer,
    fill_document,
    moment,
    num,
    text,
    uid_reference,
)

_FDG: Concept = ("C-B1031", "SRT", "Fluorodeoxyglucose F^18^")
_TECHNETIUM: Concept = ("C-B1302", "SRT", "Technetium Tc^99m^ medronate")
_INTRAVENOUS: Concept = ("G-D101", "SRT", "Intravenous route")
_VENDOR_SCHEME = "99SMS_RADSUM"


def fill_radiopharmaceutical_report(ds: Dataset, match: ArchiveMatch) -> None:
    """Add the content of a Radiopharmaceutical Radiation Dose report (TID 10021)."""
    rng = rng_for(match.uid)
    began = study_moment(match.study) - dt.timedelta(hours=1)
    is_pet = "PT" in match.study.modalities_in_study
    nuclide: Concept = ("C-111A1", "SRT", "^18^Fluorine") if is_pet else ("C-163A8", "SRT", "^99m^Technetium")
    half_life_s = 6586.2 if is_pet else 21624.1
    event = container(
        ("113502", "DCM", "Radiopharmaceutical Administration"),
        coded(
            ("F-61FDB", "SRT", "Radiopharmaceutical agent"),
            _FDG if is_pet else _TECHNETIUM,
            coded(("C-10072", "SRT", "Radionuclide"), nuclide),
            num(("R-42806", "SRT", "Radionuclide Half Life"), half_life_s, "s", decimals=1),
        ),
        uid_reference(
            ("113503", "DCM", "Radiopharmaceutical Administration Event UID"), derived_uid(match.uid, "event")
        ),
        moment(("123003", "DCM", "Radiopharmaceutical Start DateTime"), began),
        moment(("123004", "DCM", "Radiopharmaceutical Stop DateTime"), began + dt.timedelta(minutes=1)),
        num(("113507", "DCM", "Administered activity"), rng.uniform(150, 700), "MBq"),
        coded(("G-C340", "SRT", "Route of administration"), _INTRAVENOUS),
    )
    root = container(
        ("113500", "DCM", "Radiopharmaceutical Radiation Dose Report"),
        coded(
            ("121058", "DCM", "Procedure reported"),
            ("P5-D1000", "SRT", "Nuclear medicine procedure"),
            relationship=HAS_CONCEPT_MOD,
        ),
        *device_observer(ds),
        event,
    )
    fill_document(ds, match, root, template="10021")


def fill_enhanced_ct_report(ds: Dataset, match: ArchiveMatch) -> None:
    """Add a CT dose report as older scanners wrote it: the same tree, without naming its template."""
    fill_ct_report(ds, match)
    del ds.ContentTemplateSequence


def fill_radiation_summary(ds: Dataset, match: ArchiveMatch) -> None:
    """Add the private radiation summary that mobile C-arms write into an Enhanced SR."""
    rng = rng_for(match.uid)
    began = study_moment(match.study)

    def concept(value: str, meaning: str) -> Concept:
        return value, _VENDOR_SCHEME, meaning

    root = container(
        concept("C-10", "Radiation Summary Report"),
        coded(
            ("121049", "DCM", "Language of Content Item and Descendents"),
            ("eng", "ISO639_2", "English"),
            relationship=HAS_CONCEPT_MOD,
        ),
        num(concept("C-200", "Total number of exposures"), 1 + rng.randrange(20), "1", decimals=0),
        num(concept("C-202", "Cumulative fluoro time"), rng.uniform(5, 600), "s", decimals=3),
        num(concept("C-204", "Cumulative dose area product"), rng.uniform(0.01, 20), "Gy.cm2", decimals=4),
        moment(concept("C-206", "Start of the examination"), began),
        moment(concept("C-208", "End of the examination"), began + dt.timedelta(minutes=20)),
    )
    fill_document(ds, match, root)


def fill_measurements(ds: Dataset, match: ArchiveMatch) -> None:
    """Add measurements of a finding: a report that has nothing to do with dose."""
    rng = rng_for(match.uid)
    finding = container(
        ("121070", "DCM", "Findings"),
        text(("121071", "DCM", "Finding"), "Nodule"),
        num(("G-D7FE", "SRT", "Length"), rng.uniform(3, 40), "mm"),
    )
    root = container(("126000", "DCM", "Imaging Measurement Report"), *device_observer(ds), finding)
    fill_document(ds, match, root)


def fill_text_report(ds: Dataset, match: ArchiveMatch) -> None:
    """Add a radiologist's text."""
    root = container(
        ("18782-3", "LN", "X-Ray Report"),
        text(("121071", "DCM", "Finding"), "No abnormality."),
        text(("121077", "DCM", "Conclusion"), "Normal."),
    )
    fill_document(ds, match, root)


def fill_patient_dose_report(ds: Dataset, match: ArchiveMatch) -> None:
    """Add an estimate of the dose to the patient (TID 10030)."""
    rng = rng_for(match.uid)
    root = container(
        ("128401", "DCM", "Patient Radiation Dose Report"),
        *device_observer(ds),
        container(
            ("128484", "DCM", "Radiation Dose Estimate"),
            text(("128485", "DCM", "Radiation Dose Estimate Name"), "Effective dose"),
            num(("113839", "DCM", "Effective Dose"), rng.uniform(0.5, 15), "mSv"),
        ),
    )
    fill_document(ds, match, root, template="10030")


def fill_key_objects(ds: Dataset, match: ArchiveMatch) -> None:
    """Add a key object selection that names the first object of the study's first other series."""
    others = [series for series in match.study.series if series.modality not in {"KO", "PR", "SR"}]
    root = container(("113000", "DCM", "Of Interest"))
    fill_document(ds, match, root, template="2010")
    del ds.CompletionFlag, ds.VerificationFlag, ds.PerformedProcedureCodeSequence
    if not others:
        return
    instance = others[0].instances[0]
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "IMAGE"
    item.ReferencedSOPSequence = [_reference(instance.sop_class_uid, instance.sop_instance_uid)]
    ds.ContentSequence = [item]
    series = Dataset()
    series.SeriesInstanceUID = others[0].series_instance_uid
    series.ReferencedSOPSequence = [_reference(instance.sop_class_uid, instance.sop_instance_uid)]
    evidence = Dataset()
    evidence.StudyInstanceUID = match.study.study_instance_uid
    evidence.ReferencedSeriesSequence = [series]
    ds.CurrentRequestedProcedureEvidenceSequence = [evidence]


def _reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = sop_class_uid
    reference.ReferencedSOPInstanceUID = sop_instance_uid
    return reference


def fill_presentation_state(ds: Dataset, match: ArchiveMatch) -> None:
    """Add a grayscale softcopy presentation state for the first image of the study."""
    began = study_moment(match.study)
    images = [series for series in match.study.series if series.modality not in {"KO", "PR", "SR"}]
    ds.PresentationCreationDate = began.strftime("%Y%m%d")
    ds.PresentationCreationTime = began.strftime("%H%M%S")
    ds.ContentLabel = "FOR_DISPLAY"
    ds.ContentDescription = ""
    ds.ContentCreatorName = ""
    ds.PresentationLUTShape = "IDENTITY"
    referenced = Dataset()
    if images:
        instance = images[0].instances[0]
        referenced.SeriesInstanceUID = images[0].series_instance_uid
        referenced.ReferencedImageSequence = [_reference(instance.sop_class_uid, instance.sop_instance_uid)]
        ds.ReferencedSeriesSequence = [referenced]
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [64, 64]
    area.PresentationSizeMode = "SCALE TO FIT"
    area.PresentationPixelAspectRatio = [1, 1]
    ds.DisplayedAreaSelectionSequence = [area]
