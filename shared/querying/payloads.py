"""What the tasks of a query carry: slices, and studies to examine. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, time, timedelta
from typing import Any

from shared.contract.criteria import CODES, Criteria
from shared.contract.criteria_fields import format_time
from shared.jobs.new_task import NewTask
from shared.querying.profile import CAREFUL_DAYS, WIDEST_DAYS, Profile
from shared.querying.slices import Slice, plan

SLICE, EXAMINE = "slice", "examine"

_DAY = timedelta(days=1)

#: Studies of one examination: small enough to end within minutes on a slow PACS that is asked one by one.
STUDIES_AT_ONCE = 50

#: Before this day hardly an archive has studies; beyond it, windows without beginning are not cut further.
EARLIEST = date(1990, 1, 1)

#: Ends of a range beyond these are none.
_NO_ARCHIVE_BEFORE, _NO_ARCHIVE_AFTER = date(1900, 1, 1), timedelta(days=3660)

#: The widest window into which a window without beginning or end is cut, older than a year.
OLD_DAYS = 31


def first_tasks(criteria: Criteria, today: date, profile: Profile) -> list[NewTask]:
    """Return the slices that a query begins with.

    Raises:
        InvalidInputError: the criteria begin after today.
    """
    if criteria.study_instance_uids:
        return _by_uid(criteria.study_instance_uids, profile.list_length("STUDY"))
    if criteria.accession_numbers:
        return [NewTask(SLICE, {"accession_number": number}) for number in criteria.accession_numbers]
    criteria = _bounded(criteria, today)
    codes = codes_of(criteria)
    together = profile.joins(len(codes))
    slices = plan(criteria, today, widest_days=profile.window_days(), codes_split=together is None)
    if together:
        slices = [replace(one, code="\\".join(codes)) for one in slices]
    return [NewTask(SLICE, slice_payload(one)) for one in slices]


def _bounded(criteria: Criteria, today: date) -> Criteria:
    """Return the criteria without ends beyond any archive, or there would be a million slices."""
    changes: dict[str, date | None] = {}
    if criteria.date_from is not None and criteria.date_from < _NO_ARCHIVE_BEFORE:
        changes["date_from"] = None
    if criteria.date_until is not None and criteria.date_until > today + _NO_ARCHIVE_AFTER:
        changes["date_until"] = today + _NO_ARCHIVE_AFTER
    return criteria.model_copy(update=changes) if changes else criteria


def codes_of(criteria: Criteria) -> list[str]:
    """Return the codes that the criteria ask for, in the order in which they are asked for."""
    return [code for name in criteria.requested_types() for code in CODES[name]]


def by_one_uid(study_instance_uids: Sequence[str]) -> list[NewTask]:
    """Return slices of one study each."""
    return [NewTask(SLICE, {"study_instance_uid": uid}) for uid in study_instance_uids]


def _by_uid(study_instance_uids: Sequence[str], at_once: int) -> list[NewTask]:
    if at_once <= 1 or len(study_instance_uids) == 1:
        return by_one_uid(study_instance_uids)
    return [
        NewTask(SLICE, {"study_instance_uids": list(study_instance_uids[start : start + at_once])})
        for start in range(0, len(study_instance_uids), at_once)
    ]


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


def pieces_of_open(part: Slice, today: date) -> list[Slice]:
    """Cut a window without beginning or end into windows of days, newest first, that cover the same."""
    last = part.date_until or today
    first = part.date_from or EARLIEST
    pieces = [] if part.date_until else [replace(part, date_from=today + _DAY)]
    day = last
    while day >= first:
        width = CAREFUL_DAYS if (last - day).days < WIDEST_DAYS else OLD_DAYS
        begin = max(first, day - timedelta(days=width - 1))
        pieces.append(replace(part, date_from=begin, date_until=day))
        day = begin - _DAY
    if part.date_from is None:
        pieces.append(replace(part, date_until=min(last, first - _DAY)))
    return pieces


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
