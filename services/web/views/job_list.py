"""The list of jobs as a diary: its filter in the address, its rows by day, its pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from itertools import groupby
from typing import cast, get_args

from flask import abort
from sqlalchemy.orm import Session

from services.web.components import Components
from services.web.language import gettext
from services.web.views.cursors import neighbours, place_of, read_number, read_text, read_time
from services.web.views.time_text import day_heading
from shared.contract.messages import ENDED, JobStatus
from shared.node_access.limits import parse_zone
from shared.nodes.nodes import list_nodes
from shared.reading.jobs import JobKind
from shared.reading.lists.job_search import (
    SORTS,
    JobEntry,
    JobSearch,
    find_jobs,
    key_of,
    running_retrieves,
)
from shared.schedules.ledger import list_schedules
from shared.users.accounts import list_users

STATUSES: tuple[str, ...] = get_args(JobStatus)

#: Jobs of a page, and characters of a filter.
PAGE, LONGEST = 50, 128

#: Digits of the id of a row, less one.
MAX_DIGITS = 10

#: Parts of the address that make the filter, in the order of the form.
FILTERS = ("q", "kind", "status", "node", "who", "schedule", "from", "until", "sort")


@dataclass(frozen=True, slots=True)
class JobList:
    """What the list shows."""

    #: Heading and jobs of each day; one group without a heading where the list is not in the order of days.
    groups: list[tuple[str, list[JobEntry]]]
    #: Retrieves that run now, of queries on other pages.
    now: list[JobEntry]
    #: Arguments of the addresses of other pages; empty where there is none.
    pages: dict[str, dict[str, str]]
    chosen: dict[str, str]
    problems: dict[str, str]
    running: list[str]

    @property
    def filtered(self) -> bool:
        """Whether some jobs are left out."""
        return any(value for name, value in self.chosen.items() if name != "sort")

    @property
    def opens_more(self) -> bool:
        """Whether a filter of the folded part is set."""
        return any(name in self.chosen for name in ("kind", "who", "schedule", "from", "until", "sort"))


def job_list(session: Session, components: Components, arguments: Mapping[str, str]) -> JobList:
    """Return the page of the list that an address names."""
    if arguments.get("page", "1") != "1":
        # Addresses of former versions: their pages had numbers.
        abort(HTTPStatus.NOT_FOUND)
    chosen = {name: arguments.get(name, "").strip()[:LONGEST] for name in FILTERS}
    chosen = {name: value for name, value in chosen.items() if value and value.isprintable()}
    wanted, problems = _search(session, components, chosen)
    first = read_number if wanted.sort == "largest" else read_time
    place = place_of(arguments, first, read_text)
    page = find_jobs(session, wanted, place, PAGE)
    begins = place.is_first and wanted == JobSearch()
    now = running_retrieves(session, page.rows) if begins else []
    pages = neighbours(page, lambda entry: key_of(entry.job, wanted.sort), chosen)
    shown = (job for entry in (*now, *page.rows) for job in (entry.job, *entry.retrieves))
    running = [job.id for job in shown if job.status not in ENDED]
    return JobList(_by_day(components, wanted, page.rows), now, pages, chosen, problems, running)


def choices(session: Session) -> dict[str, object]:
    """Return what the form of the filter offers."""
    return {
        "nodes": list_nodes(session),
        "people": [user.name for user in list_users(session)],
        "statuses": STATUSES,
        "schedules": list_schedules(session),
    }


def _search(
    session: Session, components: Components, chosen: Mapping[str, str]
) -> tuple[JobSearch, dict[str, str]]:
    wanted, problems = JobSearch(), {}
    kind, status, sort = chosen.get("kind"), chosen.get("status", ""), chosen.get("sort", "")
    wanted = replace(
        wanted,
        kind=cast("JobKind", kind) if kind in ("query", "retrieve") else None,
        status=status if status in STATUSES else "",
        requested_by=chosen.get("who", ""),
        text=chosen.get("q", ""),
        sort=sort if sort in SORTS else "newest",
    )
    if number := chosen.get("node", ""):
        node = next((node for node in list_nodes(session) if str(node.id) == number), None)
        if node is None:
            problems["node"] = gettext("There is no such node.")
        elif node.kind == "remote":
            wanted = replace(wanted, remote_id=node.id)
        else:
            wanted = replace(wanted, store_id=node.id)
    if number := chosen.get("schedule", ""):
        if number.isdecimal() and len(number) < MAX_DIGITS:
            wanted = replace(wanted, schedule_id=int(number))
        else:
            problems["schedule"] = gettext("There is no such recurring query.")
    for name in ("from", "until"):
        if not chosen.get(name):
            continue
        try:
            day = date.fromisoformat(chosen[name])
            if name == "from":
                wanted = replace(wanted, requested_from=_midnight(components, day))
            else:
                wanted = replace(wanted, requested_before=_midnight(components, day + timedelta(days=1)))
        except (ValueError, OverflowError):
            problems[name] = gettext("This is no date.")
    return wanted, problems


def _midnight(components: Components, day: date) -> datetime:
    """Return when a day begins at the site."""
    zone = parse_zone(components.settings.time_zone)
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def _by_day(
    components: Components, wanted: JobSearch, entries: list[JobEntry]
) -> list[tuple[str, list[JobEntry]]]:
    if wanted.sort not in ("newest", "oldest"):
        return [("", entries)] if entries else []
    today, day_of = components.today(), components.settings.day_of
    days = groupby(entries, key=lambda entry: day_of(entry.job.requested_at))
    return [(day_heading(day, today), list(group)) for day, group in days]
