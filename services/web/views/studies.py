"""Pages of a query's studies, and of what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice

from flask import abort
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.web.language import gettext, shown_day, shown_days, translated
from services.web.views.cursors import neighbours, place_of, read_number, read_text
from shared.contract.reasons import sentence
from shared.database.models import Query, QueryStudy, Retrieve, RetrieveObject
from shared.reading.lists.study_search import (
    MOST_SORTED,
    StudySearch,
    count_studies,
    find_studies_of,
    sort_of,
    study_key,
)
from shared.reading.query_json import MissingSlice, MissingStudy, missing
from shared.reading.retrieve_json import NOT_ARRIVED

#: Studies on one page.
PAGE = 50
#: Missing windows, studies or objects on the page; the command line lists all.
MISSING_SHOWN = 100

#: Parts of the address that make the filter, and characters of one.
_FILTER, _LONGEST = ("q", "decision", "type", "reason", "sort"), 64


@dataclass(frozen=True, slots=True)
class StudyListing:
    """A page of the studies of a query."""

    studies: list[QueryStudy]
    total: int
    wanted: StudySearch
    #: The filter and order as the address has them.
    chosen: dict[str, str]
    #: Arguments of the addresses of other pages.
    pages: dict[str, dict[str, str]]
    #: Arguments of the address of this page.
    address: dict[str, str]
    #: Whether it can be sorted otherwise than by UID.
    sortable: bool

    @property
    def retrievable(self) -> bool:
        """Whether a study of this page was kept."""
        return any(study.decision == "keep" for study in self.studies)


def study_list(session: Session, query: Query, arguments: Mapping[str, str]) -> StudyListing:
    """Return the page of studies that an address names."""
    if arguments.get("page", "1") != "1":
        # Addresses of former versions: their pages had numbers.
        abort(HTTPStatus.NOT_FOUND)
    given = {name: arguments.get(name, "").strip()[:_LONGEST] for name in _FILTER}
    chosen = {name: value for name, value in given.items() if value and value.isprintable()}
    wanted = StudySearch(
        decision=chosen.get("decision", ""),
        type=chosen.get("type", ""),
        reason=chosen.get("reason", ""),
        text=chosen.get("q", ""),
        sort=sort_of(query, chosen.get("sort", "")),
    )
    readers = (read_number if is_number else read_text for is_number in wanted.numbers)
    place = place_of(arguments, *readers)
    page = find_studies_of(session, query, wanted, place, PAGE)
    return StudyListing(
        page.rows,
        count_studies(session, query, wanted),
        wanted,
        chosen,
        neighbours(page, lambda study: study_key(study, wanted.sort), chosen),
        {name: arguments[name] for name in (*_FILTER, "after", "before", "last") if name in arguments},
        query.studies_found <= MOST_SORTED,
    )


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
        why = f"{translated(sentence(item['reason']))} {translated(item['detail'] or '')}".strip()
        return MissingItem(gettext("Study"), why, item["study_instance_uid"])
    error = sentence(item["error"], node=query.remote_name) if item["error"] else ""
    why = translated(item["detail"] or error or sentence("window_not_answered"))
    single = item.get("study_instance_uid") or item.get("accession_number")
    what = str(single) if single else _window(item["window"])
    return MissingItem(f"{item['code'] or gettext('All modalities')}, {what}", why)


def _window(window: Mapping[str, str | None]) -> str:
    first, last = window.get("date_from"), window.get("date_until")
    days = gettext("all dates") if not first and not last else shown_days(first or "…", last or "…")
    if first and first == last:
        days = shown_day(first)
    times = window.get("time_from"), window.get("time_until")
    if times == (None, None):
        return days
    return gettext(
        "%(days)s, %(first)s to %(last)s", days=days, first=times[0] or "00:00", last=times[1] or "23:59"
    )


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
