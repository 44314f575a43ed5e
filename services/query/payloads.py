"""What the tasks of a query carry: slices, and studies to examine. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time
from typing import Any

from services.query.slices import Slice, plan
from shared.contract.criteria import Criteria
from shared.contract.criteria_fields import format_time
from shared.jobs.model import NewTask

SLICE, EXAMINE = "slice", "examine"

#: The widest window of days that a node is asked for at first, as long as nothing was measured of it.
CAREFUL_DAYS = 7

#: Studies of one examination: small enough to end within minutes on a slow PACS, asked one by one.
STUDIES_AT_ONCE = 20


def first_tasks(criteria: Criteria, today: date) -> list[NewTask]:
    """Return the slices that a query begins with.

    Raises:
        InvalidInputError: the criteria begin after today.
    """
    if criteria.study_instance_uids:
        return [NewTask(SLICE, {"study_instance_uid": uid}) for uid in criteria.study_instance_uids]
    if criteria.accession_numbers:
        return [NewTask(SLICE, {"accession_number": number}) for number in criteria.accession_numbers]
    slices = plan(criteria, today, widest_days=CAREFUL_DAYS, codes_split=True)
    return [NewTask(SLICE, slice_payload(one)) for one in slices]


def slice_payload(one: Slice) -> dict[str, Any]:
    """Return a slice as plain values; what is open is None."""
    return {
        "code": one.code,
        "date_from": one.date_from.isoformat() if one.date_from else None,
        "date_until": one.date_until.isoformat() if one.date_until else None,
        "time_from": format_time(one.time_from) if one.time_from else None,
        "time_until": format_time(one.time_until) if one.time_until else None,
    }


def slice_of(payload: dict[str, Any]) -> Slice:
    """Return the slice of a payload."""
    return Slice(
        date_from=_date(payload.get("date_from")),
        date_until=_date(payload.get("date_until")),
        time_from=_time(payload.get("time_from")),
        time_until=_time(payload.get("time_until")),
        code=payload.get("code"),
    )


def examine_tasks(study_instance_uids: Sequence[str]) -> list[NewTask]:
    """Return examinations of these studies, a few at a time."""
    return [
        NewTask(EXAMINE, {"studies": list(study_instance_uids[start : start + STUDIES_AT_ONCE])})
        for start in range(0, len(study_instance_uids), STUDIES_AT_ONCE)
    ]


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _time(text: str | None) -> time | None:
    return time.fromisoformat(text) if text else None
