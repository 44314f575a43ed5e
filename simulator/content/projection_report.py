"""X-Ray Radiation Dose SR of projection X-ray and mammography (PS3.16 TID 10001 and below)."""

import datetime as dt
import random
from dataclasses import dataclass

from pydicom.dataset import Dataset

from simulator.archive.model import ArchiveMatch
from simulator.content.base import derived_uid, rng_for, study_moment
from simulator.content.sr import (
    HAS_CONCEPT_MOD,
    YES,
    Concept,
    coded,
    container,
    device_observer,
    fill_document,
    moment,
    num,
    scope_is_study,
    text,
    uid_reference,
)

_PLANE: Concept = ("113764", "DCM", "Acquisition Plane")
_SINGLE: Concept = ("113622", "DCM", "Single Plane")
_LATERALITY: Concept = ("G-C171", "SRT", "Laterality")
_REFERENCE_POINT: Concept = ("113780", "DCM", "Reference Point Definition")
_FLUOROSCOPY: Concept = ("P5-06000", "SRT", "Fluoroscopy")
_STATIONARY: Concept = ("113611", "DCM", "Stationary Acquisition")
_BREASTS: tuple[tuple[Concept, Concept], ...] = (
    (("T-04030", "SRT", "Left breast"), ("G-A101", "SRT", "Left")),
    (("T-04020", "SRT", "Right breast"), ("G-A100", "SRT", "Right")),
)
_VIEWS: tuple[Concept, ...] = (
    ("R-10242", "SRT", "cranio-caudal"),
    ("R-10226", "SRT", "medio-lateral oblique"),
)


@dataclass(frozen=True, slots=True)
class _IrradiationEvent:
    item: Dataset
    dap_gy_m2: float
    dose_rp_gy: float
    duration_s: float


def _plane() -> Dataset:
    return coded(_PLANE, _SINGLE, relationship=HAS_CONCEPT_MOD)


def _exposure(rng: random.Random, *, kv: float, current_ma: float, time_ms: float) -> list[Dataset]:
    return [
        num(("113733", "DCM", "KVP"), kv, "kV"),
        num(("113734", "DCM", "X-Ray Tube Current"), current_ma, "mA"),
        num(("113824", "DCM", "Exposure Time"), time_ms, "ms"),
        num(("113736", "DCM", "Exposure"), current_ma * time_ms, "uA.s"),
        num(("113766", "DCM", "Focal Spot Size"), rng.choice((0.3, 0.6, 1.0)), "mm"),
    ]


def _filters(material: Concept, thickness_mm: float) -> Dataset:
    return container(
        ("113771", "DCM", "X-Ray Filters"),
        coded(("113772", "DCM", "X-Ray Filter Type"), ("113650", "DCM", "Strip filter")),
        coded(("113757", "DCM", "X-Ray Filter Material"), material),
        num(("113758", "DCM", "X-Ray Filter Thickness Minimum"), thickness_mm, "mm"),
        num(("113773", "DCM", "X-Ray Filter Thickness Maximum"), thickness_mm, "mm"),
    )


def _projection_event(
    match: ArchiveMatch, rng: random.Random, number: int, *, fluoroscopy: bool
) -> _IrradiationEvent:
    """Return one irradiation event with its dose area product, dose at the reference point and duration."""
    dap = rng.uniform(2e-5, 9e-4) if fluoroscopy else rng.uniform(1e-6, 8e-5)
    dose_rp = dap * rng.uniform(40, 80)
    duration_s = rng.uniform(4, 90) if fluoroscopy else rng.uniform(0.005, 0.2)
    began = study_moment(match.study) + dt.timedelta(minutes=number)
    event = container(
        ("113706", "DCM", "Irradiation Event X-Ray Data"),
        _plane(),
        moment(("111526", "DCM", "DateTime Started"), began),
        coded(("113721", "DCM", "Irradiation Event Type"), _FLUOROSCOPY if fluoroscopy else _STATIONARY),
        text(("125203", "DCM", "Acquisition Protocol"), rng.choice(("Standard", "Low dose", "Abdomen AP"))),
        uid_reference(("113769", "DCM", "Irradiation Event UID"), derived_uid(match.uid, "event", number)),
        coded(_REFERENCE_POINT, ("113860", "DCM", "15cm from Isocenter toward Source")),
        num(("122130", "DCM", "Dose Area Product"), dap, "Gy.m2", decimals=8),
        num(("113738", "DCM", "Dose (RP)"), dose_rp, "Gy", decimals=8),
        _filters(("C-127F9", "SRT", "Copper or Copper compound"), 0.1),
        *_exposure(rng, kv=rng.uniform(60, 110), current_ma=rng.uniform(5, 300), time_ms=duration_s * 1000),
        num(("113742", "DCM", "Irradiation Duration"), duration_s, "s", decimals=3),
        coded(("123014", "DCM", "Target Region"), ("T-D3000", "SRT", "Chest")),
        coded(
            ("111632", "DCM", "Anode Target Material"), ("C-164F9", "SRT", "Tungsten or Tungsten compound")
        ),
    )
    return _IrradiationEvent(event, dap, dose_rp, duration_s)


def _root(ds: Dataset, match: ArchiveMatch, procedure: Concept, *content: Dataset) -> Dataset:
    reported = coded(
        ("121058", "DCM", "Procedure reported"),
        procedure,
        coded(
            ("G-C0E8", "SRT", "Has Intent"),
            ("R-408C3", "SRT", "Diagnostic Intent"),
            relationship=HAS_CONCEPT_MOD,
        ),
        relationship=HAS_CONCEPT_MOD,
    )
    return container(
        ("113701", "DCM", "X-Ray Radiation Dose Report"),
        reported,
        *device_observer(ds),
        scope_is_study(match),
        coded(("113943", "DCM", "X-Ray Source Data Available"), YES),
        coded(("113944", "DCM", "X-Ray Mechanical Data Available"), YES),
        coded(("113945", "DCM", "X-Ray Detector Data Available"), YES),
        *content,
        coded(
            ("113854", "DCM", "Source of Dose Information"), ("113856", "DCM", "Automated Data Collection")
        ),
    )


def fill_fluoroscopy_report(ds: Dataset, match: ArchiveMatch) -> None:
    """Add the content of a dose report of fluoroscopy or angiography: totals and a handful of events."""
    rng = rng_for(match.uid)
    made = [_projection_event(match, rng, number, fluoroscopy=True) for number in range(rng.randrange(2, 7))]
    dap, dose_rp = sum(event.dap_gy_m2 for event in made), sum(event.dose_rp_gy for event in made)
    time_s = sum(event.duration_s for event in made)
    totals = container(
        ("113702", "DCM", "Accumulated X-Ray Dose Data"),
        _plane(),
        num(("113722", "DCM", "Dose Area Product Total"), dap, "Gy.m2", decimals=8),
        num(("113725", "DCM", "Dose (RP) Total"), dose_rp, "Gy", decimals=8),
        num(("113726", "DCM", "Fluoro Dose Area Product Total"), dap, "Gy.m2", decimals=8),
        num(("113728", "DCM", "Fluoro Dose (RP) Total"), dose_rp, "Gy", decimals=8),
        num(("113730", "DCM", "Total Fluoro Time"), time_s, "s"),
        num(("113727", "DCM", "Acquisition Dose Area Product Total"), 0, "Gy.m2", decimals=8),
        num(("113729", "DCM", "Acquisition Dose (RP) Total"), 0, "Gy", decimals=8),
        num(("113855", "DCM", "Total Acquisition Time"), 0, "s"),
        coded(_REFERENCE_POINT, ("113860", "DCM", "15cm from Isocenter toward Source")),
    )
    events = [event.item for event in made]
    root = _root(ds, match, ("113704", "DCM", "Projection X-Ray"), totals, *events)
    fill_document(ds, match, root, template="10001")


def fill_radiography_report(ds: Dataset, match: ArchiveMatch) -> None:
    """Add the content of a dose report of radiography."""
    rng = rng_for(match.uid)
    made = [_projection_event(match, rng, number, fluoroscopy=False) for number in range(rng.randrange(1, 4))]
    totals = container(
        ("113702", "DCM", "Accumulated X-Ray Dose Data"),
        _plane(),
        num(
            ("113722", "DCM", "Dose Area Product Total"),
            sum(event.dap_gy_m2 for event in made),
            "Gy.m2",
            decimals=8,
        ),
        num(("113725", "DCM", "Dose (RP) Total"), sum(event.dose_rp_gy for event in made), "Gy", decimals=8),
        num(("113731", "DCM", "Total Number of Radiographic Frames"), len(made), "1", decimals=0),
        coded(_REFERENCE_POINT, ("113861", "DCM", "30cm in Front of Image Input Surface")),
    )
    events = [event.item for event in made]
    root = _root(ds, match, ("113704", "DCM", "Projection X-Ray"), totals, *events)
    fill_document(ds, match, root, template="10001")


def _breast_event(
    match: ArchiveMatch, rng: random.Random, number: int, *, side: Concept, view: Concept, agd: float
) -> Dataset:
    began = study_moment(match.study) + dt.timedelta(minutes=number)
    return container(
        ("113706", "DCM", "Irradiation Event X-Ray Data"),
        _plane(),
        uid_reference(("113769", "DCM", "Irradiation Event UID"), derived_uid(match.uid, "event", number)),
        moment(("111526", "DCM", "DateTime Started"), began),
        coded(("113721", "DCM", "Irradiation Event Type"), _STATIONARY),
        coded(
            ("T-D0005", "SRT", "Anatomical structure"),
            ("T-04000", "SRT", "Breast"),
            coded(_LATERALITY, side, relationship=HAS_CONCEPT_MOD),
        ),
        coded(("111031", "DCM", "Image View"), view),
        coded(("123014", "DCM", "Target Region"), ("T-04000", "SRT", "Breast")),
        num(("111634", "DCM", "Half Value Layer"), 0.535, "mm", decimals=3),
        num(("111636", "DCM", "Entrance Exposure at RP"), agd * 2.8, "mGy"),
        coded(_REFERENCE_POINT, ("113865", "DCM", "Entrance exposure to a 4.2 cm breast thickness")),
        num(("111631", "DCM", "Average Glandular Dose"), agd, "mGy"),
        *_exposure(rng, kv=rng.uniform(26, 32), current_ma=100, time_ms=rng.uniform(400, 1200)),
        coded(
            ("111632", "DCM", "Anode Target Material"), ("C-164F9", "SRT", "Tungsten or Tungsten compound")
        ),
        _filters(("C-167F9", "SRT", "Rhodium or Rhodium compound"), 0.05),
        num(("111633", "DCM", "Compression Thickness"), rng.uniform(25, 80), "mm"),
    )


def fill_mammography_report(ds: Dataset, match: ArchiveMatch) -> None:
    """Add the content of a dose report of mammography: four views with their average glandular doses."""
    rng = rng_for(match.uid)
    accumulated: list[Dataset] = []
    events: list[Dataset] = []
    for breast, side in _BREASTS:
        doses = [rng.uniform(0.8, 2.5) for _view in _VIEWS]
        accumulated.append(
            num(
                ("111637", "DCM", "Accumulated Average Glandular Dose"),
                sum(doses),
                "mGy",
                coded(_LATERALITY, breast, relationship=HAS_CONCEPT_MOD),
            )
        )
        for view, agd in zip(_VIEWS, doses, strict=True):
            events.append(_breast_event(match, rng, len(events), side=side, view=view, agd=agd))
    totals = container(("113702", "DCM", "Accumulated X-Ray Dose Data"), _plane(), *accumulated)
    root = _root(ds, match, ("P5-40010", "SRT", "Mammography"), totals, *events)
    fill_document(ds, match, root, template="10001")
