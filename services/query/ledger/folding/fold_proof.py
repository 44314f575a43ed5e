"""Folds what a query proves, apart from its studies: its days, and what it named in vain."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import date
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.query.ledger.tally.ended_queries import closed_searches
from services.query.ledger.tally.node_days import NodeDays
from shared.database.models import FoldedIdentifier, Query, QueryStudy
from shared.database.upsert import insert_missing
from shared.evidence.day_proof import DaySearch
from shared.reading.evidence.studies import batches

#: Rows of a step for which a day counts: reading and writing its numbers takes as long as that of a study.
ROWS_OF_DAY = 5
_IDENTIFIERS = (
    ("study_instance_uids", QueryStudy.study_instance_uid),
    ("accession_numbers", QueryStudy.accession_number),
)

T = TypeVar("T")


class UnfoldedProof:
    """What a query proves and is not yet kept; to keep a part of it once more changes nothing."""

    def __init__(self, session: Session, query: Query) -> None:
        self._query = query
        self._days: deque[tuple[DaySearch, date]] = deque(
            (search, day) for search in closed_searches(session, [query.id]) for day in search.days()
        )
        self._named: deque[tuple[str, str]] = deque(_named(query))

    @property
    def is_folded(self) -> bool:
        """Whether all of it is kept."""
        return not (self._days or self._named)

    def fold(self, session: Session, most: int) -> int:
        """Keep so many rows of it, about, or one day; return how many. The lock of the node is held."""
        days = _taken(self._days, max(1, most // ROWS_OF_DAY))
        if days:
            self._fold_days(session, days)
            return len(days) * ROWS_OF_DAY
        named = _taken(self._named, most)
        self._fold_identifiers(session, named)
        return len(named)

    def _fold_days(self, session: Session, days: Iterable[tuple[DaySearch, date]]) -> None:
        """Keep what the query proves of these days apart from what others prove."""
        touched = NodeDays(session, self._query.remote_id, {day for _, day in days})
        for search, day in days:
            touched.fold(search, day)
        touched.save()

    def _fold_identifiers(self, session: Session, named: Iterable[tuple[str, str]]) -> None:
        """Keep those of these identifiers that the PACS did not know."""
        for field, column in _IDENTIFIERS:
            of_field = [identifier for name, identifier in named if name == field]
            for some in batches(of_field):
                found = select(column).where(QueryStudy.job_id == self._query.id, column.in_(some))
                absent = set(some) - set(session.scalars(found))
                rows = [
                    {"remote_id": self._query.remote_id, "field": field, "identifier": identifier}
                    for identifier in sorted(absent)
                ]
                insert_missing(session, FoldedIdentifier, rows)


def _named(query: Query) -> list[tuple[str, str]]:
    """Return field and value of the identifiers of which a completed query proves whether they are there."""
    if query.status != "completed" or query.days_from is not None or query.days_until is not None:
        return []
    return [
        (field, identifier)
        for field, _ in _IDENTIFIERS
        for identifier in sorted(set(query.criteria.get(field) or ()))
    ]


def _taken(left: deque[T], most: int) -> list[T]:
    return [left.popleft() for _ in range(min(most, len(left)))]
