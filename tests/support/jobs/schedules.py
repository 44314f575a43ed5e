"""Recurring queries for tests: their rows, and a query engine that a test drives by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select

from shared.clock import utc_now
from shared.contract.criteria import parse_criteria, windows
from shared.contract.messages import RunQuery
from shared.database.models import Query, QueryTask, Schedule
from shared.database.session import Database
from shared.nodes.nodes import add_node, find_node, list_nodes, parse_node
from shared.querying.payloads import WindowSlice, to_json
from shared.querying.slices import Slice
from shared.schedules.definition import parse_schedule
from shared.schedules.ledger import Site, add_schedule
from shared.schedules.watermark import CoverageRules
from tests.support.jobs.rows import a_query

SITE = Site("Europe/Berlin", CoverageRules())
NIGHTLY: dict[str, Any] = {
    "name": "nightly",
    "remote": "pacs",
    "store": "doseqr",
    "criteria": {"types": ["CT"]},
    "when": "daily 06:30",
}


def add_nodes(database: Database) -> None:
    """Make a remote node `pacs` and a store node `doseqr` known."""
    with database.write() as session:
        for kind, name in (("remote", "pacs"), ("store", "doseqr")):
            given = {"kind": kind, "name": name, "host": "127.0.0.1", "port": 104, "ae_title": name.upper()}
            add_node(session, parse_node(given), utc_now())


def plan_nightly(database: Database, now: datetime, site: Site = SITE, **changes: Any) -> Schedule:
    """Add a recurring query of `pacs`, and the nodes if there are none."""
    with database.read() as session:
        known = bool(list_nodes(session))
    if not known:
        add_nodes(database)
    with database.write() as session:
        return add_schedule(session, parse_schedule(NIGHTLY | changes), "ada", site, now)


def days_of(criteria: dict[str, Any]) -> Iterator[date]:
    """Yield the days that a query covers."""
    for part in windows(parse_criteria(criteria), date.max):
        assert part.date_from is not None
        assert part.date_until is not None
        day = part.date_from
        while day <= part.date_until:
            yield day
            day += timedelta(days=1)


class HandDrivenQueries:
    """Takes the queries of a scheduler; they run and end when the test lets them."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def begin(self, job_id: str, command: RunQuery, schedule: Any) -> None:
        """Write the row of a query, as the service does; a second time it is there."""
        with self._database.write() as session:
            if session.get(Query, job_id) is None:
                find_node(session, command.remote, "remote", "data.remote")
                session.add(
                    a_query(
                        job_id,
                        status="running",
                        remote_id=command.remote,
                        store_id=command.store,
                        requested_at=self._clock(),
                        criteria=parse_criteria(command.criteria).to_json(),
                        schedule_id=schedule.id,
                        schedule_name=schedule.name,
                        retrieve_after=command.retrieve,
                    )
                )

    def running(self) -> list[Query]:
        """Return the queries that have not ended."""
        with self._database.read() as session:
            return list(session.scalars(select(Query).where(Query.status == "running")))

    def end(self, query: Query, is_complete: Callable[[date], bool] = lambda _day: True) -> None:
        """End a query; the days that are not complete have a slice that failed."""
        now, failed = self._clock(), 0
        with self._database.write() as session:
            for day in days_of(query.criteria):
                complete = is_complete(day)
                failed += not complete
                session.add(
                    QueryTask(
                        job_id=query.id,
                        kind="slice",
                        state="done" if complete else "failed",
                        payload=to_json(WindowSlice(Slice(day, day))),
                        created_at=now,
                        due_at=now,
                    )
                )
            row = session.get_one(Query, query.id)
            row.status, row.ended_at = ("incomplete" if failed else "completed"), now
