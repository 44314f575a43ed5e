"""Kinds of studies as hospitals have them, and what of each holds dose: the truth that tests rely on."""

import datetime as dt
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from simulator.archive.model import Instance, Lazy, Series, Study
from simulator.content import RECIPES

#: What is kept of the series of a plan: all objects, or only the first image.
Keep = Literal["all", "first"]

_STATIONS: dict[str, tuple[str | None, ...]] = {
    "CT": ("CTAWP100044", "CT-NORD", "ct_süd", "PHILIPS-E71E3F0", None),
    "MG": ("MAMMO1", "Dimensions", ""),
    "DX": ("XR-1", "XR-2", "MOB54", "BETTENRÖ"),
    "XA": ("CCL Lab A", "ANGIO1"),
    "PT": ("PETCT1",),
}
_OTHER_STATIONS: tuple[str | None, ...] = ("WS1", None)


@dataclass(frozen=True, slots=True)
class Plan:
    """Some series of a study: what they hold, how many they are, and for which type they are kept.

    `keep` and `keep_toshiba` (the Toshiba option) map a type of study to what of the series is kept for it.
    """

    content: str
    instances: tuple[int, int] = (1, 1)
    series: tuple[int, int] = (1, 1)
    descriptions: tuple[str | None, ...] = ("",)
    modality: str = ""
    first_number: int = 1
    keep: Mapping[str, Keep] = field(default_factory=dict)
    keep_toshiba: Mapping[str, Keep] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The modality code of the series."""
        return self.modality or RECIPES[self.content].modality


@dataclass(frozen=True, slots=True)
class StudyKind:
    """One kind of study; `weight` is its frequency relative to the others."""

    name: str
    weight: int
    plans: tuple[Plan, ...]
    descriptions: tuple[str | None, ...]

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modality codes that a study of this kind has."""
        return tuple(dict.fromkeys(plan.code for plan in self.plans))


_CT_STUDIES = (
    "CT Thorax nativ",
    "Thorax^RTP_4DCT_Thorax_C (Adult)",
    "CT Abdomen, Becken",
    "Schädel-CT",
    "CT Kopf/Hals mit KM (größere Läsion)",
    "",
    None,
    "CT Thorax & abdo & pelvis with contrast, follow-up after six mth",
)
_MG_STUDIES = ("Mammographie bds.", "Bilateral Mammography", None)
_DX_STUDIES = ("Thorax p.a.", "Hand re. in 2 Eb.", "CR THORAX", "Becken-Übersicht", "")
_FL_STUDIES = ("Koronarangiographie", "liuotushoidon raajojen", "ERCP", "DL OK THORAX")
_NM_STUDIES = ("Bone Scan", "PET/CT Ganzkörper FDG", "Schilddrüse")

_AXIAL = ("Thorax 5.0 B30f", "Abdomen 1.0 B20f", "Lunge 1,0", "Weichteil 3.0", "cor MPR", None)
_REPORT = ("Dose Report", "Radiation Dose Information", "Dosisprotokoll", None)
_CT_SCOUT = Plan("ct_localizer", instances=(1, 2), descriptions=("Topogramm 0.6 T80s", "Scout"))
_CT_IMAGES = Plan(
    "ct_image", instances=(20, 180), series=(1, 4), descriptions=_AXIAL, keep_toshiba={}, first_number=1
)
_TEXT = Plan("text_sr", descriptions=("Befund", "Report", None))
_PRESENTATION = Plan("presentation_state", descriptions=("PS", None))
_KEY = Plan("key_objects", descriptions=("Key images",))


def _report(content: str, keep: str, count: tuple[int, int] = (1, 1)) -> Plan:
    return Plan(content, instances=count, descriptions=_REPORT, keep={keep: "all"})


def _images(content: str, keep: Mapping[str, Keep] | None = None, count: tuple[int, int] = (1, 4)) -> Plan:
    return Plan(
        content, instances=count, descriptions=("AP", "Lateral", "OTHER", None, "L CC"), keep=keep or {}
    )


def _toshiba_ct(content: str, count: tuple[int, int], keep: Keep, *descriptions: str) -> Plan:
    return Plan(
        content, instances=count, descriptions=descriptions, first_number=3, keep_toshiba={"CT": keep}
    )


KINDS: dict[str, StudyKind] = {
    kind.name: kind
    for kind in (
        # CT
        StudyKind("ct_rdsr", 26, (_CT_SCOUT, _CT_IMAGES, _report("rdsr_ct", "CT")), _CT_STUDIES),
        StudyKind(
            "ct_rdsr_several", 4, (_CT_SCOUT, _CT_IMAGES, _report("rdsr_ct", "CT", (2, 3))), _CT_STUDIES
        ),
        StudyKind("ct_rdsr_and_text", 5, (_CT_IMAGES, _report("rdsr_ct", "CT"), _TEXT, _KEY), _CT_STUDIES),
        StudyKind("ct_rdsr_and_esr", 2, (_CT_IMAGES, _report("rdsr_ct", "CT"), Plan("esr_ct")), _CT_STUDIES),
        StudyKind("ct_esr", 3, (_CT_SCOUT, _CT_IMAGES, _report("esr_ct", "CT")), _CT_STUDIES),
        StudyKind("ct_esr_without_dose", 2, (_CT_IMAGES, _report("esr_other", "CT")), _CT_STUDIES),
        StudyKind(
            "ct_philips",
            5,
            (
                Plan("ct_image", instances=(20, 120), series=(1, 3), descriptions=("Thorax", "2.0 soft")),
                Plan("philips_dose_info", descriptions=("Dose Info", " dose info "), keep={"CT": "all"}),
            ),
            _CT_STUDIES,
        ),
        StudyKind(
            "ct_philips_undescribed",
            2,
            (
                Plan(
                    "ct_image",
                    instances=(20, 60),
                    series=(1, 2),
                    descriptions=(None,),
                    keep_toshiba={"CT": "first"},
                ),
                Plan("philips_dose_info", instances=(1, 3), descriptions=(None,), keep={"CT": "all"}),
            ),
            (None,),
        ),
        StudyKind(
            "ct_toshiba",
            4,
            (
                _toshiba_ct("ct_image", (30, 80), "first", "Body 5.0 CE", "Lung 1.0"),
                _toshiba_ct("toshiba_dose_summary", (1, 2), "all", "Dose summary"),
            ),
            _CT_STUDIES,
        ),
        StudyKind(
            "ct_text_only",
            3,
            (
                Plan("ct_image", (20, 90), descriptions=("Thorax", "Lung"), keep_toshiba={"CT": "first"}),
                _TEXT,
            ),
            _CT_STUDIES,
        ),
        # MG
        StudyKind(
            "mg_rdsr",
            6,
            (_images("mg_image", count=(4, 6)), _report("rdsr_mg", "MG"), _PRESENTATION),
            _MG_STUDIES,
        ),
        StudyKind(
            "mg_images",
            6,
            (
                _images("mg_image", {"MG": "all"}, (4, 4)),
                _images("mg_for_processing", {"MG": "all"}, (4, 4)),
                _PRESENTATION,
                _KEY,
            ),
            _MG_STUDIES,
        ),
        StudyKind(
            "mg_tomosynthesis", 2, (_images("tomosynthesis", {"MG": "all"}, (2, 4)), _TEXT), _MG_STUDIES
        ),
        # DX
        StudyKind("dx_rdsr", 6, (_images("dx_image"), _report("rdsr_dx", "DX")), _DX_STUDIES),
        StudyKind("dx_images", 12, (_images("dx_image", {"DX": "all"}),), _DX_STUDIES),
        StudyKind("cr_images", 6, (_images("cr_image", {"DX": "all"}), _PRESENTATION), _DX_STUDIES),
        StudyKind(
            "px_images", 2, (_images("px_image", {"DX": "all"}, (1, 1)),), ("Orthopantomogramm", "OPG")
        ),
        StudyKind("dx_text", 3, (_images("dx_image", {"DX": "all"}), _TEXT), _DX_STUDIES),
        # FL
        StudyKind("xa_rdsr", 5, (_images("xa_image", count=(2, 12)), _report("rdsr_fl", "FL")), _FL_STUDIES),
        StudyKind("rf_rdsr", 4, (_images("rf_image", count=(2, 8)), _report("rdsr_fl", "FL")), _FL_STUDIES),
        StudyKind("rf_esr", 2, (_images("rf_image"), _report("esr_fl", "FL")), _FL_STUDIES),
        StudyKind("fl_without_report", 3, (_images("xa_image"),), _FL_STUDIES),
        # NM
        StudyKind("nm_rrdsr", 2, (_images("nm_image"), _report("rrdsr", "NM")), _NM_STUDIES),
        StudyKind(
            "nm_images",
            3,
            (
                Plan(
                    "nm_image", (1, 3), (1, 2), ("GK früh", "GK spät"), first_number=0, keep={"NM": "first"}
                ),
                Plan("secondary_capture", descriptions=("Screenshots",), modality="NM"),
            ),
            _NM_STUDIES,
        ),
        StudyKind(
            "petct",
            3,
            (
                _CT_IMAGES,
                Plan(
                    "pet_image", (40, 90), (1, 2), ("PET AC", "PET NAC"), first_number=1, keep={"NM": "first"}
                ),
                _report("rdsr_ct", "CT"),
                _report("rrdsr", "NM"),
            ),
            _NM_STUDIES,
        ),
        StudyKind(
            "pet_images",
            1,
            (Plan("pet_image", (30, 60), descriptions=("PET AC",), first_number=458, keep={"NM": "first"}),),
            _NM_STUDIES,
        ),
        StudyKind(
            "spect_ct",
            1,
            (
                _CT_IMAGES,
                Plan("nm_image", (1, 2), descriptions=("SPECT",), keep={"NM": "first"}),
                _report("rdsr_ct", "CT"),
            ),
            _NM_STUDIES,
        ),
        # Reports alone, several types at once, and what is nothing for a dose register
        StudyKind("sr_only_rdsr", 3, (_report("rdsr_ct", "SR"),), _CT_STUDIES),
        StudyKind("sr_only_rrdsr", 1, (_report("rrdsr", "SR"),), _NM_STUDIES),
        StudyKind("sr_only_esr", 1, (_report("esr_ct", "SR"),), _CT_STUDIES),
        StudyKind("sr_only_text", 2, (_TEXT,), _CT_STUDIES),
        StudyKind(
            "mg_and_dx",
            1,
            (
                _images("mg_image", {"MG": "all"}),
                _images("dx_image", {"DX": "all"}),
                # It cannot be attributed, so it is kept for either.
                Plan("rdsr_mg", descriptions=_REPORT, keep={"MG": "all", "DX": "all"}),
            ),
            _MG_STUDIES,
        ),
        StudyKind(
            "mr", 8, (Plan("mr_image", (20, 60), (2, 5), ("t2_tse_sag", "t1 vibe")), _KEY), ("MRT Knie",)
        ),
        StudyKind("us", 5, (Plan("us_image", (3, 12)),), ("Sono Abdomen", None)),
        StudyKind("opt", 2, (Plan("ophthalmic_image", (1, 2)),), ("OCT Makula",)),
    )
}


def make_study(
    kind: StudyKind,
    study_instance_uid: str,
    date: dt.date | None,
    time: dt.time | None,
    rng: random.Random,
    *,
    accession_number: str = "",
    patient_id: str = "SIM0000001",
    patient_name: str = "Sample^Patient",
) -> Study:
    """Return a study of a kind; its series and objects are made on first use.

    `study_instance_uid` needs room for nine more digits: three for a series, six for an object.
    """
    counted = [(plan, rng.randint(*plan.series)) for plan in kind.plans]
    seed = rng.getrandbits(32)
    number = sum(count for _plan, count in counted)
    return Study(
        study_instance_uid=study_instance_uid,
        date=date,
        time=time,
        series=Lazy(number, lambda: _make_series(study_instance_uid, counted, seed)),
        description=rng.choice(kind.descriptions),
        accession_number=accession_number,
        patient_id=patient_id,
        patient_name=patient_name,
        kind=kind.name,
        modalities=kind.modalities,
    )


def _make_series(study_uid: str, counted: list[tuple[Plan, int]], seed: int) -> tuple[Series, ...]:
    rng = random.Random(seed)  # noqa: S311 (lifelike numbers, no secrets)
    made: list[Series] = []
    for plan, count in counted:
        stations = _STATIONS.get(plan.code, _OTHER_STATIONS)
        for nth in range(count):
            number = len(made) + 1
            series_uid = f"{study_uid}{number:03d}"
            length = rng.randint(*plan.instances)
            made.append(
                Series(
                    series_instance_uid=series_uid,
                    modality=plan.code,
                    instances=Lazy(length, _instance_maker(plan, series_uid, length)),
                    series_number=number,
                    description=plan.descriptions[(seed + nth) % len(plan.descriptions)],
                    station_name=stations[seed % len(stations)],
                )
            )
    return tuple(made)


def _instance_maker(plan: Plan, series_uid: str, length: int) -> Callable[[], tuple[Instance, ...]]:
    sop_class_uid = RECIPES[plan.content].sop_class_uid

    def make() -> tuple[Instance, ...]:
        # UIDs fall while instance numbers rise: the first image is not the one with the lowest UID.
        return tuple(
            Instance(
                f"{series_uid}{length - place:06d}", sop_class_uid, plan.content, plan.first_number + place
            )
            for place in range(length)
        )

    return make


def expected_objects(
    study: Study, types: Iterable[str], *, include_sr_only: bool = False, toshiba: bool = False
) -> frozenset[str]:
    """Return the UIDs of the objects that hold the dose of a study of a known kind, for the requested types.

    `types` are of CT, MG, DX, FL and NM. It holds for a PACS that does everything right, where nothing is
    known yet and no filter is set.
    """
    kind = KINDS[study.kind]
    wanted = {*types, *(("SR",) if include_sr_only else ())}
    by_content = {(plan.content, plan.code): plan for plan in kind.plans}
    expected: set[str] = set()
    for series in study.series:
        plan = by_content[series.instances[0].content, series.modality]
        keeps = {**plan.keep, **(plan.keep_toshiba if toshiba else {})}
        for study_type, keep in keeps.items():
            if study_type in wanted:
                expected.update(instance.sop_instance_uid for instance in _kept(series, keep))
    return frozenset(expected)


def _kept(series: Series, keep: Keep) -> Iterable[Instance]:
    if keep == "all":
        return series.instances
    return [
        min(
            series.instances,
            key=lambda instance: (instance.instance_number is None, instance.instance_number or 0),
        )
    ]
