"""The list of a query's studies: filtered, sorted, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import ColumnElement, SQLColumnExpression, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from shared.database.models.query import Query, QueryStudy
from shared.reading.lists.keyset import Columns, KeyValue, ListPage, Place, scalar_page

#: Found studies above which the list is in the order of UIDs, which has an index.
MOST_SORTED = 20_000

#: Orders of the list by the columns before the UID, and whether each runs downwards.
SORTS: Mapping[str, tuple[tuple[str, ...], bool]] = MappingProxyType(
    {
        "newest": (("study_date", "study_time"), True),
        "oldest": (("study_date", "study_time"), False),
        "description": (("description",), False),
        "station": (("station_name", "study_date"), False),
        "accession": (("accession_number",), False),
        "type": (("type", "study_date"), False),
        "largest": (("instance_count",), True),
        "uid": ((), False),
    }
)
_NUMBERS = ("instance_count",)


@dataclass(frozen=True, slots=True)
class StudySearch:
    """Which studies, and in which order; empty: all."""

    decision: str = ""
    type: str = ""
    reason: str = ""
    #: A UID, an accession number, or part of a description or station name.
    text: str = ""
    sort: str = "newest"

    @property
    def numbers(self) -> tuple[bool, ...]:
        """Whether each part of the key of this order is a number."""
        return (*(name in _NUMBERS for name in SORTS[self.sort][0]), False)


def find_studies_of(
    session: Session, query: Query, wanted: StudySearch, place: Place, limit: int
) -> ListPage[QueryStudy]:
    """Return a page of the studies of a query."""
    statement = select(QueryStudy).where(*_conditions(query.id, wanted))
    columns, descending = _columns(wanted.sort), SORTS[wanted.sort][1]
    return scalar_page(session, statement, columns, place, limit, descending=descending)


def count_studies(session: Session, query: Query, wanted: StudySearch) -> int:
    """Return how many studies a search finds."""
    statement = select(func.count()).select_from(QueryStudy)
    return session.scalar(statement.where(*_conditions(query.id, wanted))) or 0


def studies_by_date(session: Session, query_id: str) -> list[tuple[str | None, str | None, int]]:
    """Return the number of studies of each date and type that a query found."""
    row = QueryStudy
    statement = select(row.study_date, row.type, func.count()).where(row.job_id == query_id)
    found = session.execute(statement.group_by(row.study_date, row.type))
    return [(day, kind, number) for day, kind, number in found]


def sort_of(query: Query, wanted: str) -> str:
    """Return the order that a query's list can have: a huge one is never sorted as a whole."""
    if query.studies_found > MOST_SORTED:
        return "uid"
    return wanted if wanted in SORTS else "newest"


def study_key(study: QueryStudy, sort: str) -> tuple[KeyValue, ...]:
    """Return the key of a study in an order."""
    values = [getattr(study, name) for name in SORTS[sort][0]]
    blank = [0 if name in _NUMBERS else "" for name in SORTS[sort][0]]
    key = (value if value is not None else nothing for value, nothing in zip(values, blank, strict=True))
    return (*key, study.study_instance_uid)


def _columns(sort: str) -> Columns:
    columns: list[SQLColumnExpression[object]] = [_filled(name) for name in SORTS[sort][0]]
    return [*columns, QueryStudy.study_instance_uid]


def _filled(name: str) -> SQLColumnExpression[object]:
    column: InstrumentedAttribute[object] = getattr(QueryStudy, name)
    return func.coalesce(column, 0 if name in _NUMBERS else "")


def _conditions(query_id: str, wanted: StudySearch) -> list[ColumnElement[bool]]:
    conditions = [QueryStudy.job_id == query_id]
    if wanted.decision == "missing":
        conditions.append(QueryStudy.state == "missing")
    elif wanted.decision:
        conditions.append(QueryStudy.decision == wanted.decision)
    if wanted.type:
        conditions.append(QueryStudy.type == wanted.type)
    if wanted.reason:
        conditions.append(QueryStudy.reason == wanted.reason)
    if wanted.text:
        conditions.append(
            or_(
                QueryStudy.study_instance_uid == wanted.text,
                QueryStudy.accession_number == wanted.text,
                QueryStudy.description.icontains(wanted.text, autoescape=True),
                QueryStudy.station_name.icontains(wanted.text, autoescape=True),
            )
        )
    return conditions
