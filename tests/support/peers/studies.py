"""Studies to put into a scripted PACS."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections.abc import Callable
from typing import Any

from simulator.archive.model import Instance, Series, Study
from simulator.content import RECIPES

#: The default date of made-up studies.
DAY = dt.date(2024, 3, 5)
_numbers = itertools.count(1)


def new_uid() -> str:
    """Return a UID that no other call returns."""
    return f"2.25.{10**20 + next(_numbers)}"


def series(
    content: str,
    instances: int = 1,
    *,
    modality: str | None = None,
    description: str | None = "",
    station_name: str | None = "STATION1",
    number: int | None = 1,
    first_number: int | None = 1,
    uid: str | None = None,
    sop_class_uid: str | None = None,
) -> Series:
    """Return a series of objects of one content (see simulator.content.RECIPES)."""
    recipe = RECIPES[content]
    series_uid = uid or new_uid()
    return Series(
        series_instance_uid=series_uid,
        modality=recipe.modality if modality is None else modality,
        instances=tuple(
            Instance(
                f"{series_uid}.{place}",
                sop_class_uid or recipe.sop_class_uid,
                content,
                None if first_number is None else first_number + place - 1,
            )
            for place in range(1, instances + 1)
        ),
        series_number=number,
        description=description,
        station_name=station_name,
    )


def study(*members: Series, **fields: Any) -> Study:
    """Return a study of the given series; `fields` are those of simulator.archive.model.Study."""
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "study_instance_uid": new_uid(),
        "date": DAY,
        "time": dt.time(8, number // 60 % 60, number % 60),
        "accession_number": f"ACC{number:06d}",
        "description": "Study",
    }
    numbered = (
        dataclasses.replace(member, series_number=place) for place, member in enumerate(members, start=1)
    )
    return Study(series=tuple(numbered), **{**defaults, **fields})


def ct_study(
    *,
    with_rdsr: bool = True,
    with_esr: bool = False,
    with_text: bool = False,
    with_dose_info: bool = False,
    images: int = 3,
    reports: int = 1,
    **fields: Any,
) -> Study:
    """Return a CT study: one image series, and the requested reports."""
    members = [series("ct_image", images, description="Thorax 5.0")]
    members += [series("philips_dose_info", description="Dose Info")] if with_dose_info else []
    members += [series("rdsr_ct", reports, description="Dose Report")] if with_rdsr else []
    members += [series("esr_ct", description="Dose Record")] if with_esr else []
    members += [series("text_sr", description="Report")] if with_text else []
    return study(*members, **{"description": "CT Thorax", **fields})


def philips_ct_study(*, described: bool = True, **fields: Any) -> Study:
    """Return a CT study whose dose is on a screen, with or without series descriptions."""
    return study(
        series("ct_image", 20, description="Thorax" if described else None),
        series("philips_dose_info", 1, description=" Dose Info " if described else None),
        **fields,
    )


def toshiba_ct_study(**fields: Any) -> Study:
    """Return a CT study with a dose screen as secondary capture; images begin at number 3."""
    return study(
        series("ct_image", 5, description="Body", first_number=3),
        series("toshiba_dose_summary", 2, description="Summary"),
        **fields,
    )


def mg_study(*, with_rdsr: bool = False, images: int = 4, **fields: Any) -> Study:
    """Return a mammography with presentation state and key objects."""
    members = [series("mg_image", images), series("presentation_state"), series("key_objects")]
    members += [series("rdsr_mg")] if with_rdsr else []
    return study(*members, **{"description": "Mammographie bds.", **fields})


def dx_study(*, with_rdsr: bool = False, content: str = "dx_image", images: int = 2, **fields: Any) -> Study:
    """Return a radiography study; `content` is one of dx_image, cr_image, px_image."""
    members = [series(content, images)] + ([series("rdsr_dx")] if with_rdsr else [])
    return study(*members, **{"description": "Thorax p.a.", **fields})


def fl_study(
    *, with_rdsr: bool = True, with_esr: bool = False, content: str = "xa_image", **fields: Any
) -> Study:
    """Return a fluoroscopy study; `content` is xa_image or rf_image."""
    members = [series(content, 2)]
    members += [series("rdsr_fl")] if with_rdsr else []
    members += [series("esr_fl")] if with_esr else []
    return study(*members, **{"description": "Angio", **fields})


def nm_study(*, with_rrdsr: bool = False, images: int = 2, **fields: Any) -> Study:
    """Return a scintigraphy; image numbers begin at 0."""
    members = [series("nm_image", images, first_number=0)] + ([series("rrdsr")] if with_rrdsr else [])
    return study(*members, **{"description": "Bone Scan", **fields})


def petct_study(*, with_rdsr: bool = True, with_rrdsr: bool = True, **fields: Any) -> Study:
    """Return a PET-CT."""
    members = [series("ct_image", 3), series("pet_image", 5, first_number=11)]
    members += [series("rdsr_ct")] if with_rdsr else []
    members += [series("rrdsr")] if with_rrdsr else []
    return study(*members, **{"description": "PET/CT Ganzkörper", **fields})


def sr_only_study(content: str = "rdsr_ct", **fields: Any) -> Study:
    """Return a study that is nothing but one report."""
    return study(series(content), **fields)


def mr_study(**fields: Any) -> Study:
    """Return a study that has no dose."""
    return study(series("mr_image", 2), **{"description": "MRT Knie", **fields})


def days_of(
    studies: int, first: dt.date, last: dt.date, make: Callable[..., Study] = ct_study
) -> list[Study]:
    """Return studies spread evenly over the days from `first` until `last`."""
    days = (last - first).days + 1
    return [make(date=first + dt.timedelta(days=number * days // studies)) for number in range(studies)]


def objects(*studies: Study, content: str | None = None) -> frozenset[str]:
    """Return the SOP Instance UIDs of studies, of one content or of all."""
    return frozenset(
        instance.sop_instance_uid
        for study in studies
        for member in study.series
        for instance in member.instances
        if content in {None, instance.content}
    )
