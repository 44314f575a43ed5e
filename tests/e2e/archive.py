"""What the PACS of these tests hold, the command that queries it, and the expected result."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from simulator.archive.model import Study
from tests.support.peers.studies import ct_study, days_of, dx_study, mg_study, mr_study, objects

FIRST, LAST = dt.date(2024, 3, 1), dt.date(2024, 3, 28)
ORDER = (
    "query", "--remote", "pacs", "--store", "doseqr", "--ct", "--dx", "--mg",
    "--from", f"{FIRST}", "--until", f"{LAST}", "--json",
)  # fmt: skip
CRITERIA = {"types": ["CT", "DX", "MG"], "date_from": f"{FIRST}", "date_until": f"{LAST}"}


def mixed_archive(studies: int) -> list[Study]:
    """Return a number of studies over four weeks: CT with dose report, DX and MG without, MR."""
    ct, dx, mg = studies * 6 // 10, studies * 2 // 10, studies // 10
    mr = studies - ct - dx - mg
    makes = (ct_study, dx_study, mg_study, mr_study)
    numbers = (ct, dx, mg, mr)
    return [
        study
        for make, number in zip(makes, numbers, strict=True)
        for study in days_of(number, FIRST, LAST, make)
    ]


def wanted(archive: list[Study]) -> set[str]:
    """Return the objects that carry the dose."""
    contents = ("rdsr_ct", "dx_image", "mg_image")
    return {uid for content in contents for uid in objects(*archive, content=content)}


def verdict(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a query concluded, without what differs from run to run."""
    studies = sorted(query["studies"], key=lambda study: str(study["study_instance_uid"]))
    return {"counts": query["counts"], "missing": query["missing"], "studies": studies}
