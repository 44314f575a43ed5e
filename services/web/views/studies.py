"""Pages of a query's studies, and of what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from shared.contract.reasons import sentence
from shared.database.models import Query, QueryStudy, Retrieve, RetrieveObject
from shared.reading.query_json import MissingSlice, MissingStudy, missing
from shared.reading.retrieve_json import NOT_ARRIVED

#: Studies on one page.
PAGE = 50
#: Missing windows, studies or objects on the page; the command line lists all.
MISSING_SHOWN = 100
#: Found studies above which the list is sorted by UID, which has an index, instead of by date.
MOST_BY_DATE = 20_000


@dataclass(frozen=True, slots=True)
class Filter:
    """Filter of the list of studies."""

    decision: str = ""
    type: str = ""
    reason: str = ""
    text: str = ""

    @classmethod
    def of(cls, arguments: Mapping[str, str]) -> Filter:
        """Read the filter of a request; values are cut at 64 characters."""
        longest = 64
        names = {"decision": "decision", "type": "type", "reason": "reason", "text": "q"}
        return cls(**{name: arguments.get(key, "").strip()[:longest] for name, key in names.items()})

    def arguments(self) -> dict[str, str]:
        """Return the query arguments of this filter."""
        arguments = {"decision": self.decision, "type": self.type, "reason": self.reason, "q": self.text}
        return {key: value for key, value in arguments.items() if value}


@dataclass(frozen=True, slots=True)
class StudyPage:
    """One page of studies."""

    studies: list[QueryStudy]
    total: int
    number: int
    filter: Filter

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return max(1, -(-self.total // PAGE))

    @property
    def first(self) -> int:
        """Number of the first study on this page, from 1."""
        return (self.number - 1) * PAGE + 1


def study_page(session: Session, query: Query, wanted: Filter, number: int) -> StudyPage:
    """Return a page of the studies that match a filter; past the end, the last page."""
    conditions = _conditions(query.id, wanted)
    total = session.scalar(select(func.count()).select_from(QueryStudy).where(*conditions)) or 0
    number = min(max(1, number), max(1, -(-total // PAGE)))
    statement = select(QueryStudy).where(*conditions).limit(PAGE).offset((number - 1) * PAGE)
    if query.studies_found <= MOST_BY_DATE:
        statement = statement.order_by(QueryStudy.study_date.desc(), QueryStudy.study_time.desc())
    statement = statement.order_by(QueryStudy.study_instance_uid)
    return StudyPage(list(session.scalars(statement)), total, number, wanted)


def _conditions(query_id: str, wanted: Filter) -> list[ColumnElement[bool]]:
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
            or_(QueryStudy.study_instance_uid == wanted.text, QueryStudy.accession_number == wanted.text)
        )
    return conditions


@dataclass(frozen=True, slots=True)
class MissingItem:
    """A window or study without a complete response."""

    what: str
    why: str
    study_instance_uid: str = ""


def missing_of_query(session: Session, query: Query) -> list[MissingItem]:
    """Return the first windows and studies without a complete response."""
    return [_missing(query, item) for item in islice(missing(session, query.id), MISSING_SHOWN)]


def _missing(query: Query, item: MissingSlice | MissingStudy) -> MissingItem:
    if item["kind"] == "study":
        why = f"{sentence(item['reason'])} {item['detail'] or ''}".strip()
        return MissingItem("Study", why, item["study_instance_uid"])
    error = sentence(item["error"], node=query.remote_name) if item["error"] else ""
    why = item["detail"] or error or sentence("window_not_answered")
    single = item.get("study_instance_uid") or item.get("accession_number")
    what = str(single) if single else _window(item["window"])
    return MissingItem(f"{item['code'] or 'All modalities'}, {what}", why)


def _window(window: Mapping[str, str | None]) -> str:
    first, last = window.get("date_from"), window.get("date_until")
    days = "all dates" if not first and not last else f"{first or '…'} to {last or '…'}"
    if first and first == last:
        days = first
    times = window.get("time_from"), window.get("time_until")
    return days if times == (None, None) else f"{days}, {times[0] or '00:00'} to {times[1] or '23:59'}"


def missing_of_retrieve(session: Session, retrieve: Retrieve) -> list[RetrieveObject]:
    """Return the first of the objects that did not arrive."""
    statement = (
        select(RetrieveObject)
        .where(RetrieveObject.job_id == retrieve.id, RetrieveObject.state.in_(NOT_ARRIVED))
        .order_by(RetrieveObject.study_instance_uid, RetrieveObject.series_instance_uid)
        .limit(MISSING_SHOWN)
    )
    return list(session.scalars(statement))


def retrieves_of(session: Session, query_id: str) -> list[Retrieve]:
    """Return the retrieves of a query, the newest first."""
    return list(
        session.scalars(
            select(Retrieve).where(Retrieve.query_id == query_id).order_by(Retrieve.requested_at.desc())
        )
    )
