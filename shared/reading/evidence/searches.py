"""The queries of a node that list all studies of some days, with their windows that are not complete."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import ColumnElement, CompoundSelect, Row, literal_column, or_, select, union
from sqlalchemy.orm import Session

from shared.contract.criteria import parse_criteria, windows
from shared.contract.json_types import JsonDocument
from shared.contract.messages import ENDED
from shared.database.models import Query, QueryStudy, QueryTask
from shared.errors import InvalidInputError
from shared.evidence.day_proof import DaySearch, UnprovenWindow
from shared.querying.initial_tasks import codes_of
from shared.querying.payloads import SLICE, WindowSlice, read_slice

#: States of a slice whose response is whole: searched, or replaced by other slices.
_DONE = ("done", "cut")
#: States of a study that is not decided. In the text of the statement, and one by one, PostgreSQL knows that
#: they are rare, and does not read all studies of a large query.
_UNFINISHED = ("found", "examining", "missing")

#: Id, criteria, day of the request, time of the request, status.
QueryColumns = tuple[str, JsonDocument, date, datetime, str]


def searches(session: Session, *which: ColumnElement[bool]) -> list[DaySearch]:
    """Return what those of these queries search that search all studies of some days."""
    columns = (Query.id, Query.criteria, Query.today, Query.requested_at, Query.status)
    rows = session.execute(select(*columns).where(*which)).all()
    if not rows:
        return []
    unproven = _unproven_windows(session, which)
    undated = set(session.scalars(_with_unfinished_undated(which)))
    found = (_search(row, unproven[row.id], row.id in undated) for row in rows)
    return [search for search in found if search is not None]


def of_days(node_id: int, first: date, last: date) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for queries of a remote node that may search days from `first` to `last`.

    A query without days in their columns is open, or older than the columns.
    """
    return (
        Query.remote_id == node_id,
        or_(Query.days_until.is_(None), Query.days_until >= first),
        or_(Query.days_from.is_(None), Query.days_from <= last),
    )


def _search(row: Row[*QueryColumns], unproven: list[UnprovenWindow], lacks_undated: bool) -> DaySearch | None:
    """Return what a query searches; none if it names studies or times of day, or began after its end."""
    try:
        criteria = parse_criteria(row.criteria)
        days = windows(criteria, row.today)
    except InvalidInputError:
        return None
    if criteria.study_instance_uids or criteria.accession_numbers:
        return None
    if criteria.time_from is not None or criteria.time_until is not None:
        return None
    return DaySearch(
        job_id=row.id,
        codes=frozenset(codes_of(criteria)),
        windows=days,
        requested_at=row.requested_at,
        ended=row.status in ENDED,
        unproven=unproven,
        lacks_undated=lacks_undated,
    )


def _unproven_windows(
    session: Session, which: Sequence[ColumnElement[bool]]
) -> defaultdict[str, list[UnprovenWindow]]:
    tasks = session.execute(
        select(QueryTask.job_id, QueryTask.payload, QueryTask.state)
        .join(Query, Query.id == QueryTask.job_id)
        .where(*which, QueryTask.kind == SLICE, QueryTask.state.not_in(_DONE))
    )
    found: defaultdict[str, list[UnprovenWindow]] = defaultdict(list)
    for job_id, payload, state in tasks:
        part = read_slice(payload)
        if isinstance(part, WindowSlice):
            found[job_id].append(UnprovenWindow(part.window, failed=state == "failed"))
    return found


def _with_unfinished_undated(which: Sequence[ColumnElement[bool]]) -> CompoundSelect[str]:
    of_states = [
        select(QueryStudy.job_id)
        .join(Query, Query.id == QueryStudy.job_id)
        .where(
            *which,
            or_(QueryStudy.study_date.is_(None), QueryStudy.study_date == ""),
            QueryStudy.state == literal_column(f"'{state}'"),
        )
        for state in _UNFINISHED
    ]
    return union(*of_states)
