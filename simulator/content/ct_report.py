"""X-Ray Radiation Dose SR of CT (PS3.16 TID 10011 and below)."""

import datetime as dt
import random

from pydicom.dataset import Dataset

from simulator.archive.model import ArchiveMatch
from simulator.content.base import derived_uid, rng_for, study_moment
from simulator.content.sr import (
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
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

_DEAD_TIME = dt.timedelta(minutes=12)
_REGIONS: tuple[Concept, ...] = (
    ("T-D3000", "SRT", "Chest"),
    ("T-D4000", "SRT", "Abdomen"),
    ("T-D1100", "SRT", "Head"),
    ("T-D6000", "SRT", "Pelvis"),
)
_SCOUT: Concept = ("113805", "DCM", "Constant Angle Acquisition")
_SPIRAL: Concept = ("P5-08001", "SRT", "Spiral Acquisition")
_BODY_PHANTOM: Concept = ("113691", "DCM", "IEC Body Dosimetry Phantom")
_HEAD_PHANTOM: Concept = ("113690", "DCM", "IEC Head Dosimetry Phantom")


def _source(rng: random.Random, *, scout: bool) -> Dataset:
    current = rng.uniform(20, 40) if scout else rng.uniform(80, 400)
    return container(
        ("113831", "DCM", "CT X-Ray Source Parameters"),
        text(("113832", "DCM", "Identification of the X-Ray Source"), "A"),
        num(("113733", "DCM", "KVP"), rng.choice((80, 100, 120, 140)), "kV", decimals=0),
        num(("113833", "DCM", "Maximum X-Ray Tube Current"), current * 1.3, "mA", decimals=0),
        num(("113734", "DCM", "X-Ray Tube Current"), current, "mA", decimals=0),
        *([] if scout else [num(("113834", "DCM", "Exposure Time per Rotation"), 0.5, "s")]),
    )


def _parameters(rng: random.Random, length_mm: float, *, scout: bool) -> Dataset:
    items = [
        num(("113824", "DCM", "Exposure Time"), rng.uniform(2, 12), "s"),
        num(("113825", "DCM", "Scanning Length"), length_mm, "mm", decimals=1),
        num(("113826", "DCM", "Nominal Single Collimation Width"), 0.6, "mm"),
        num(("113827", "DCM", "Nominal Total Collimation Width"), 38.4, "mm"),
    ]
    if not scout:
        items.append(num(("113828", "DCM", "Pitch Factor"), rng.choice((0.6, 0.8, 1.2)), "{ratio}"))
    items.append(num(("113823", "DCM", "Number of X-Ray Sources"), 1, "{X-Ray sources}", decimals=0))
    items.append(_source(rng, scout=scout))
    return container(("113822", "DCM", "CT Acquisition Parameters"), *items)


def _acquisition(rng: random.Random, event_uid: str, protocol: str, *, scout: bool) -> tuple[Dataset, float]:
    """Return one irradiation event and its dose length product in mGy.cm."""
    region = rng.choice(_REGIONS)
    length_mm = rng.uniform(200, 700)
    ctdi_vol = rng.uniform(0.05, 0.2) if scout else rng.uniform(2, 25)
    dlp = ctdi_vol * length_mm / 10
    phantom = _HEAD_PHANTOM if region[2] == "Head" else _BODY_PHANTOM
    event = container(
        ("113819", "DCM", "CT Acquisition"),
        text(("125203", "DCM", "Acquisition Protocol"), "Topogram" if scout else protocol),
        coded(("123014", "DCM", "Target Region"), region),
        coded(("113820", "DCM", "CT Acquisition Type"), _SCOUT if scout else _SPIRAL),
        coded(("G-C32C", "SRT", "Procedure Context"), ("P5-0808E", "SRT", "CT without contrast")),
        uid_reference(("113769", "DCM", "Irradiation Event UID"), event_uid),
        _parameters(rng, length_mm, scout=scout),
        container(
            ("113829", "DCM", "CT Dose"),
            num(("113830", "DCM", "Mean CTDIvol"), ctdi_vol, "mGy"),
            coded(("113835", "DCM", "CTDIw Phantom Type"), phantom),
            num(("113838", "DCM", "DLP"), dlp, "mGy.cm"),
        ),
        text(("113842", "DCM", "X-Ray Modulation Type"), "XYZ_EC"),
    )
    return event, dlp


def _events(match: ArchiveMatch) -> tuple[list[Dataset], float]:
    rng = rng_for(match.uid)
    series = [series for series in match.study.series if series.modality == "CT"]
    protocols = [entry.description or "Protocol" for entry in series] or ["Protocol"]
    events = []
    total = 0.0
    for number, protocol in enumerate(["Topogram", *protocols]):
        uid = derived_uid(match.uid, "event", number)
        event, dlp = _acquisition(rng, uid, protocol, scout=number == 0)
        events.append(event)
        total += dlp
    return events, total


def fill_ct_report(ds: Dataset, match: ArchiveMatch) -> None:
    """Add the content of a CT dose report: totals, and an acquisition for the scout and each series."""
    events, total_dlp = _events(match)
    began = study_moment(match.study)
    procedure = coded(
        ("121058", "DCM", "Procedure reported"),
        ("P5-08000", "SRT", "Computed Tomography X-Ray"),
        coded(
            ("G-C0E8", "SRT", "Has Intent"),
            ("R-408C3", "SRT", "Diagnostic Intent"),
            relationship=HAS_CONCEPT_MOD,
        ),
        relationship=HAS_CONCEPT_MOD,
    )
    accumulated = container(
        ("113811", "DCM", "CT Accumulated Dose Data"),
        num(("113812", "DCM", "Total Number of Irradiation Events"), len(events), "{events}", decimals=0),
        num(("113813", "DCM", "CT Dose Length Product Total"), total_dlp, "mGy.cm"),
    )
    context = {"relationship": HAS_OBS_CONTEXT}
    root = container(
        ("113701", "DCM", "X-Ray Radiation Dose Report"),
        procedure,
        *device_observer(ds),
        moment(("113809", "DCM", "Start of X-Ray Irradiation"), began, **context),
        moment(("113810", "DCM", "End of X-Ray Irradiation"), began + _DEAD_TIME, **context),
        scope_is_study(match),
        accumulated,
        *events,
        coded(
            ("113854", "DCM", "Source of Dose Information"), ("113856", "DCM", "Automated Data Collection")
        ),
    )
    fill_document(ds, match, root, template="10011")
