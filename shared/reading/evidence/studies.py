"""The best decision on each study of a node over all its queries, by one statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TypeVar

from sqlalchemy import ColumnElement, Subquery, and_, case, func, or_, select, text
from sqlalchemy.orm import Session

from shared.contract.reasons import Reason
from shared.database.models import Query, QuerySeries, QueryStudy

#: Reasons of studies that a filter left out before anybody examined them.
FILTERED = (
    Reason.EXCLUDED_DESCRIPTION,
    Reason.NOT_IN_KEEP_DESCRIPTION,
    Reason.EXCLUDED_STATION,
    Reason.NOT_IN_KEEP_STATION,
)
BY_STATION = (Reason.EXCLUDED_STATION, Reason.NOT_IN_KEEP_STATION)
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
        QuerySeries.reason.in_(BY_STATION),
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
        Query.requested_at,
        case((settled, 1), else_=0).label("settled"),
        study_day().label("day"),
        func.row_number()
        .over(partition_by=(Query.remote_id, QueryStudy.study_instance_uid), order_by=order)
        .label("rank"),
    )
    return select(*columns).join(Query, Query.id == QueryStudy.job_id).where(*which).subquery()


def parse_da(value: str | None) -> date | None:
    """Return the day of a DA value; None where it is none."""
    da_length = 8
    if value is None or len(value) < da_length or not value[:da_length].isdecimal():
        return None
    try:
        return date(int(value[:4]), int(value[4:6]), int(value[6:8]))
    except ValueError:
        return None


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Return the items in parts that fit into one statement."""
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
