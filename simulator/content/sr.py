"""Content items of structured reports (PS3.3 C.17.3) and the modules around them."""

import datetime as dt
from collections.abc import Iterable

from pydicom.dataset import Dataset

from simulator.archive.model import ArchiveMatch
from simulator.content.base import code, derived_uid, study_moment

#: A coded concept: value, scheme, meaning.
Concept = tuple[str, str, str]

CONTAINS = "CONTAINS"
HAS_CONCEPT_MOD = "HAS CONCEPT MOD"
HAS_OBS_CONTEXT = "HAS OBS CONTEXT"
HAS_PROPERTIES = "HAS PROPERTIES"

YES: Concept = ("R-0038D", "SRT", "Yes")
NO: Concept = ("R-00339", "SRT", "No")


def _item(relationship: str, value_type: str, concept: Concept, children: Iterable[Dataset] = ()) -> Dataset:
    item = Dataset()
    item.RelationshipType = relationship
    item.ValueType = value_type
    item.ConceptNameCodeSequence = [code(*concept)]
    content = list(children)
    if content:
        item.ContentSequence = content
    return item


def container(concept: Concept, *children: Dataset, relationship: str = CONTAINS) -> Dataset:
    """Return a CONTAINER item."""
    item = _item(relationship, "CONTAINER", concept, children)
    item.ContinuityOfContent = "SEPARATE"
    return item


def num(concept: Concept, value: float, unit: str, *children: Dataset, decimals: int = 2) -> Dataset:
    """Return a NUM item; the unit is a UCUM code."""
    item = _item(CONTAINS, "NUM", concept, children)
    measured = Dataset()
    measured.NumericValue = f"{value:.{decimals}f}" if decimals else str(round(value))
    measured.MeasurementUnitsCodeSequence = [code(unit, "UCUM", unit.strip("{}"))]
    item.MeasuredValueSequence = [measured]
    return item


def coded(concept: Concept, value: Concept, *children: Dataset, relationship: str = CONTAINS) -> Dataset:
    """Return a CODE item."""
    item = _item(relationship, "CODE", concept, children)
    item.ConceptCodeSequence = [code(*value)]
    return item


def text(concept: Concept, value: str, *, relationship: str = CONTAINS) -> Dataset:
    """Return a TEXT item."""
    item = _item(relationship, "TEXT", concept)
    item.TextValue = value
    return item


def uid_reference(concept: Concept, value: str, *, relationship: str = CONTAINS) -> Dataset:
    """Return a UIDREF item."""
    item = _item(relationship, "UIDREF", concept)
    item.UID = value
    return item


def moment(concept: Concept, value: dt.datetime, *, relationship: str = CONTAINS) -> Dataset:
    """Return a DATETIME item."""
    item = _item(relationship, "DATETIME", concept)
    item.DateTime = value.strftime("%Y%m%d%H%M%S")
    return item


def fill_document(ds: Dataset, match: ArchiveMatch, root: Dataset, template: str | None = None) -> None:
    """Add the SR document modules and the content tree to a data set."""
    began = study_moment(match.study)
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.CompletionFlag = "COMPLETE"
    ds.VerificationFlag = "UNVERIFIED"
    ds.PerformedProcedureCodeSequence = []
    ds.ContentDate = began.strftime("%Y%m%d")
    ds.ContentTime = (began + dt.timedelta(minutes=15)).strftime("%H%M%S")
    ds.ValueType = "CONTAINER"
    ds.ConceptNameCodeSequence = root.ConceptNameCodeSequence
    ds.ContinuityOfContent = root.ContinuityOfContent
    if template is not None:
        used = Dataset()
        used.MappingResource = "DCMR"
        used.TemplateIdentifier = template
        ds.ContentTemplateSequence = [used]
    ds.ContentSequence = root.get("ContentSequence", [])


def device_observer(ds: Dataset) -> list[Dataset]:
    """Return the items that name the device as observer (TID 1002, 1004)."""
    context = {"relationship": HAS_OBS_CONTEXT}
    device_uid = derived_uid(ds.ManufacturerModelName, ds.get("StationName", ""))
    return [
        coded(("121005", "DCM", "Observer Type"), ("121007", "DCM", "Device"), **context),
        uid_reference(("121012", "DCM", "Device Observer UID"), device_uid, **context),
        text(("121013", "DCM", "Device Observer Name"), ds.get("StationName") or "UNNAMED", **context),
        text(("121014", "DCM", "Device Observer Manufacturer"), ds.Manufacturer, **context),
        text(("121015", "DCM", "Device Observer Model Name"), ds.ManufacturerModelName, **context),
        text(("121016", "DCM", "Device Observer Serial Number"), ds.DeviceSerialNumber, **context),
    ]


def scope_is_study(match: ArchiveMatch) -> Dataset:
    """Return the item that marks the report as the sum of the whole study."""
    item = coded(
        ("113705", "DCM", "Scope of Accumulation"), ("113014", "DCM", "Study"), relationship=HAS_OBS_CONTEXT
    )
    item.ContentSequence = [
        uid_reference(
            ("110180", "DCM", "Study Instance UID"),
            match.study.study_instance_uid,
            relationship=HAS_PROPERTIES,
        )
    ]
    return item
