"""The decisions on the studies of a node over all its queries: the best of each, and those that are open."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import TypeVar

from sqlalchemy import ColumnElement, Subquery, and_, case, func, or_, select, text
from sqlalchemy.orm import Session

from shared.contract.criteria import CODES
from shared.contract.json_types import JsonDocument
from shared.contract.reasons import Reason
from shared.database.models import Query, QuerySeries, QueryStudy
from shared.evidence.calendar import DayCounts

#: Reasons of studies that a filter left out before anybody examined them.
FILTERED = (
    Reason.EXCLUDED_DESCRIPTION,
    Reason.NOT_IN_KEEP_DESCRIPTION,
    Reason.EXCLUDED_STATION,
    Reason.NOT_IN_KEEP_STATION,
)
_BY_STATION = (Reason.EXCLUDED_STATION, Reason.NOT_IN_KEEP_STATION)
#: Both databases bound the parameters of a statement.
_AT_ONCE = 500

T = TypeVar("T")


def da(day: date) -> str:
    """Return a day as a DA value (PS3.5 6.2)."""
    return f"{day.year:04}{day.month:02}{day.day:02}"


def study_day() -> ColumnElement[str]:
    """Return the first eight characters of the study date: the day, where it is a DA value."""
    return func.substr(QueryStudy.study_date, 1, 8)


def of_days(node_id: int, first: date, last: date) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for rows of `QueryStudy`, joined with `Query`, of a node and these days."""
    return (
        Query.remote_id == node_id,
        QueryStudy.study_date >= da(first),
        QueryStudy.study_date < da(last) + "~",
    )


def is_settled() -> ColumnElement[bool]:
    """Return the condition for a decision that rests on all series of a study."""
    return and_(QueryStudy.state == "decided", QueryStudy.reason.not_in(FILTERED), ~_lost_series())


def _lost_series() -> ColumnElement[bool]:
    """Return the condition for a study of which a filter of station names left out series."""
    lost = select(QuerySeries.series_instance_uid).where(
        QuerySeries.job_id == QueryStudy.job_id,
        QuerySeries.study_instance_uid == QueryStudy.study_instance_uid,
        QuerySeries.reason.in_(_BY_STATION),
    )
    filters = [
        Query.criteria[name].as_string().is_not(None) & (Query.criteria[name].as_string() != "[]")
        for name in ("exclude_stations", "keep_stations")
    ]
    return and_(or_(*filters), lost.exists())


def without_jit(session: Session) -> None:
    """Let PostgreSQL interpret what follows in this transaction: compiling takes it seconds, running less."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL jit = off"))


def best_decisions(*which: ColumnElement[bool]) -> Subquery:
    """Return the most informative decision of each study, of all queries; `rank` 1 is the best.

    Settled comes before not settled, a requested type before none, what the study holds before that it is
    known already, then the latest.
    """
    settled = is_settled()
    order = (
        case((settled, 0), else_=1),
        case((QueryStudy.type.is_(None), 1), else_=0),
        case((QueryStudy.reason == Reason.KNOWN, 1), else_=0),
        Query.requested_at.desc(),
        Query.id,
    )
    columns = (
        QueryStudy.job_id,
        QueryStudy.study_instance_uid,
        QueryStudy.type,
        QueryStudy.decision,
        QueryStudy.reason,
        QueryStudy.state,
        QueryStudy.study_date,
        QueryStudy.study_time,
        QueryStudy.station_name,
        QueryStudy.accession_number,
        Query.remote_id,
        case((settled, 1), else_=0).label("settled"),
        study_day().label("day"),
        func.row_number()
        .over(partition_by=(Query.remote_id, QueryStudy.study_instance_uid), order_by=order)
        .label("rank"),
    )
    return select(*columns).join(Query, Query.id == QueryStudy.job_id).where(*which).subquery()


def day_counts(session: Session, node_id: int, first: date, last: date) -> dict[tuple[date, str], DayCounts]:
    """Return the numbers of settled and of open studies by day and type."""
    without_jit(session)
    best = best_decisions(*of_days(node_id, first, last))
    settled: Counter[tuple[date, str]] = Counter()
    by_day = (
        select(best.c.day, best.c.type, func.count())
        .where(best.c.rank == 1, best.c.settled == 1, best.c.type.is_not(None))
        .group_by(best.c.day, best.c.type)
    )
    for written, type_name, number in session.execute(by_day):
        day = parse_da(written)
        if day is not None:
            settled[day, type_name] += number
    unsettled = _unsettled(session, node_id, first, last)
    return {key: DayCounts(settled[key], unsettled[key]) for key in {*settled, *unsettled}}


def parse_da(value: str | None) -> date | None:
    """Return the day of a DA value; None where it is none."""
    da_length = 8
    if value is None or len(value) < da_length or not value[:da_length].isdecimal():
        return None
    try:
        return date(int(value[:4]), int(value[4:6]), int(value[6:8]))
    except ValueError:
        return None


def _unsettled(session: Session, node_id: int, first: date, last: date) -> Counter[tuple[date, str]]:
    """Return the numbers of studies that no query for a type has settled, by day and type."""
    rows = session.execute(
        select(QueryStudy.study_instance_uid, study_day(), QueryStudy.modalities, Query.criteria)
        .join(Query, Query.id == QueryStudy.job_id)
        .where(*of_days(node_id, first, last), ~is_settled())
    )
    open_types: defaultdict[tuple[str, date], set[str]] = defaultdict(set)
    for uid, written, modalities, criteria in rows:
        day = parse_da(written)
        if day is not None:
            open_types[uid, day] |= _possible_types(criteria, modalities)
    settled = _settled_types(session, node_id, {uid for uid, _ in open_types})
    found: Counter[tuple[date, str]] = Counter()
    for (uid, day), types in open_types.items():
        found.update((day, name) for name in types - settled[uid])
    return found


def _settled_types(session: Session, node_id: int, uids: Iterable[str]) -> defaultdict[str, set[str]]:
    """Return the types for which each of these studies is settled, by whichever query."""
    settled: defaultdict[str, set[str]] = defaultdict(set)
    for some in batches(sorted(uids)):
        rows = session.execute(
            select(QueryStudy.study_instance_uid, Query.criteria)
            .join(Query, Query.id == QueryStudy.job_id)
            .where(Query.remote_id == node_id, QueryStudy.study_instance_uid.in_(some), is_settled())
        )
        for uid, criteria in rows:
            settled[uid] |= requested_types(criteria)
    return settled


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Return the items in parts that fit into one statement."""
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]


def requested_types(criteria: JsonDocument) -> set[str]:
    """Return the types of criteria in the ledger, SR for reports alone."""
    return {*criteria.get("types", ()), *(["SR"] if criteria.get("include_sr_only") else [])}


def _possible_types(criteria: JsonDocument, modalities: list[str] | None) -> set[str]:
    """Return the requested types of which the study may be, as far as the PACS returned its modalities."""
    requested = requested_types(criteria)
    if not modalities:
        return requested
    return {name for name in requested if not set(CODES[name]).isdisjoint(modalities)}
