"""The tasks with which a query begins, from its criteria and what is known of the node. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from shared.contract.criteria import CODES, Criteria, window
from shared.jobs.new_task import NewTask
from shared.querying.payloads import (
    AccessionSlice,
    StudyListSlice,
    StudySlice,
    WindowSlice,
    read_slice,
    slice_task,
)
from shared.querying.profile import CodeStrategy, Profile
from shared.querying.slices import plan

#: A range of dates that reaches beyond these is open on that side.
_NO_ARCHIVE_BEFORE, _NO_ARCHIVE_AFTER = date(1900, 1, 1), timedelta(days=3660)

#: Seconds that the first slice has to itself at a node of which nothing is known: what it teaches saves the
#: others most of their requests. They begin once it has ended, and after this in any case.
HEAD_START = timedelta(seconds=1)
#: The same by DICOMweb, where each match may cost the server several milliseconds.
WEB_HEAD_START = timedelta(seconds=10)

#: Days that are searched once more at the end of a long search: most studies whose date is changed lie there.
SECOND_SEARCH_DAYS = 7


def first_tasks(
    criteria: Criteria, today: date, profile: Profile, *, by_dicomweb: bool = False
) -> list[NewTask]:
    """Return the slices with which a query begins; `by_dicomweb`: its node is searched by QIDO-RS.

    Raises:
        InvalidInputError: the criteria begin after today.
    """
    if criteria.study_instance_uids:
        return _study_tasks(criteria.study_instance_uids, profile.list_length("STUDY"))
    if criteria.accession_numbers:
        return [slice_task(AccessionSlice(number)) for number in criteria.accession_numbers]
    criteria = _bounded(criteria, today)
    codes = codes_of(criteria)
    strategy = profile.code_strategy(len(codes))
    windows = plan(
        criteria,
        today,
        widest_days=profile.window_days(),
        codes_split=strategy is CodeStrategy.EACH,
    )
    if strategy is CodeStrategy.LIST:
        windows = [replace(window, code="\\".join(codes)) for window in windows]
    tasks = [slice_task(WindowSlice(window)) for window in windows]
    if not gives_head_start(criteria, profile):
        return tasks
    head_start = WEB_HEAD_START if by_dicomweb else HEAD_START
    return [*tasks[:1], *(replace(task, delay_s=head_start.total_seconds()) for task in tasks[1:])]


def gives_head_start(criteria: Criteria, profile: Profile) -> bool:
    """Return whether the first slice has a head start, by what is known of the node as the query begins."""
    if profile.busiest or criteria.study_instance_uids or criteria.accession_numbers:
        return False
    number = len(codes_of(criteria))
    return number > 1 and profile.code_strategy(number) is CodeStrategy.EACH


def second_search_tasks(criteria: Criteria, today: date, profile: Profile) -> list[NewTask]:
    """Return slices of the newest days of a query, which are searched first, to search them once more.

    None for named studies, and for parts of days: those are of recurring queries, which search them again.
    """
    if criteria.study_instance_uids or criteria.accession_numbers or criteria.date_ranges:
        return []
    days = window(criteria, today)
    last = min(days.date_until or today, today)
    first = max(days.date_from or date.min, last - timedelta(days=SECOND_SEARCH_DAYS - 1))
    newest = criteria.model_copy(update={"date_from": first, "date_until": max(first, last)})
    tasks = [read_slice(task.payload) for task in first_tasks(newest, today, profile)]
    return [slice_task(replace(part, late=True)) for part in tasks if isinstance(part, WindowSlice)]


def _bounded(criteria: Criteria, today: date) -> Criteria:
    """Return the criteria without ends beyond any archive, or there would be a million slices."""
    changes: dict[str, date | None] = {}
    if criteria.date_from is not None and criteria.date_from < _NO_ARCHIVE_BEFORE:
        changes["date_from"] = None
    if criteria.date_until is not None and criteria.date_until > today + _NO_ARCHIVE_AFTER:
        changes["date_until"] = today + _NO_ARCHIVE_AFTER
    return criteria.model_copy(update=changes) if changes else criteria


def codes_of(criteria: Criteria) -> list[str]:
    """Return the codes of the requested types, in the order in which they are requested."""
    return [code for name in criteria.requested_types() for code in CODES[name]]


def single_study_tasks(study_instance_uids: Sequence[str]) -> list[NewTask]:
    """Return a slice for each of these studies."""
    return [slice_task(StudySlice(uid)) for uid in study_instance_uids]


def _study_tasks(study_instance_uids: Sequence[str], at_once: int) -> list[NewTask]:
    if at_once <= 1 or len(study_instance_uids) == 1:
        return single_study_tasks(study_instance_uids)
    return [
        slice_task(StudyListSlice(tuple(study_instance_uids[start : start + at_once])))
        for start in range(0, len(study_instance_uids), at_once)
    ]
