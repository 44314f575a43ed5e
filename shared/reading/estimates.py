"""Estimates of queries, from what the database knows of a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.contract.criteria import Criteria, parse_criteria, window
from shared.database.models import Node, Query, QueryStudy
from shared.errors import InvalidInputError
from shared.querying.estimate import OTHERS, Estimate, Past, estimate
from shared.reading.profiles import known_profile
from shared.settings import Settings

#: Earlier queries that are read; beyond so many studies one is too large to be counted in passing.
_QUERIES = 10
_MOST_STUDIES = 20_000
#: Earlier queries among which the last complete day is searched.
_QUERIES_FOR_DAYS = 50


def estimate_of(
    session: Session, node: Node, settings: Settings, criteria: Criteria, today: date
) -> Estimate:
    """Return what a query of this node will come to.

    Raises:
        InvalidInputError: the criteria begin after today.
    """
    profile = known_profile(session, node, settings).profile
    past = _earlier(session, node.id)
    known = estimate(criteria, today, profile, past, node.requests_per_minute)
    return replace(known, hours=node.hours, time_zone=node.time_zone)


def _earlier(session: Session, node_id: int) -> list[Past]:
    queries = session.scalars(
        select(Query)
        .where(
            Query.remote_id == node_id,
            Query.status == "completed",
            Query.studies_found <= _MOST_STUDIES,
        )
        .order_by(Query.requested_at.desc())
        .limit(_QUERIES)
    ).all()
    studies = _by_type(session, [query.id for query in queries])
    candidates = (_past(query, studies.get(query.id, {})) for query in queries)
    return [past for past in candidates if past is not None]


def _by_type(session: Session, job_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    rows = session.execute(
        select(QueryStudy.job_id, QueryStudy.type, func.count())
        .where(QueryStudy.job_id.in_(job_ids))
        .group_by(QueryStudy.job_id, QueryStudy.type)
    )
    found: dict[str, dict[str, int]] = {}
    for job_id, name, number in rows:
        found.setdefault(job_id, {})[name or OTHERS] = number
    return found


def _past(query: Query, studies: dict[str, int]) -> Past | None:
    """Return what a query came to; None if its criteria would not be accepted today."""
    try:
        criteria = parse_criteria(query.criteria)
    except InvalidInputError:
        return None
    began, ended = query.started_at or query.requested_at, query.ended_at
    return Past(
        types=criteria.requested_types(),
        days=_whole_days(criteria, query.today),
        studies=studies,
        slices=query.slices_total,
        requests=query.finds,
        seconds=(ended - began).total_seconds() if ended else 0.0,
    )


def last_complete_day(session: Session, node_id: int, types: Sequence[str]) -> date | None:
    """Return the last day that a complete query of a node covers whole for these types, with no filter.

    What is missing before that day is not looked at: a calendar of days shows holes.
    """
    queries = session.scalars(
        select(Query)
        .where(Query.remote_id == node_id, Query.status == "completed")
        .order_by(Query.requested_at.desc())
        .limit(_QUERIES_FOR_DAYS)
    )
    ends = [_complete_until(query, frozenset(types)) for query in queries]
    return max((end for end in ends if end is not None), default=None)


def _complete_until(query: Query, types: frozenset[str]) -> date | None:
    try:
        criteria = parse_criteria(query.criteria)
    except InvalidInputError:
        return None
    if not types <= set(criteria.types) or not _whole_days(criteria, query.today) or _is_filtered(criteria):
        return None
    end = window(criteria, query.today).date_until
    # The day of the query itself was not over.
    return None if end is None else min(end, query.today - timedelta(days=1))


def _is_filtered(criteria: Criteria) -> bool:
    return bool(
        criteria.exclude_descriptions
        or criteria.keep_descriptions
        or criteria.exclude_stations
        or criteria.keep_stations
    )


def _whole_days(criteria: Criteria, today: date) -> int:
    """Return how many days a query covered whole; 0: it named its studies, or had no end."""
    days = window(criteria, today)
    partly = (
        criteria.accession_numbers
        or criteria.study_instance_uids
        or criteria.date_ranges
        or criteria.time_from
        or criteria.time_until
    )
    if partly or days.date_from is None or days.date_until is None:
        return 0
    return (days.date_until - days.date_from).days + 1
