"""Pages over 100,000 jobs and a query of 50,000 studies: time in the server, and SQL statements."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from html import unescape

import pytest
from sqlalchemy import insert, text

from shared.broker.memory.broker import MemoryBroker
from shared.database.models import Query, QueryStudy, Retrieve
from shared.database.session import Database
from shared.settings import Settings
from tests.bench.table import print_table
from tests.support.jobs.rows import NOW, a_query, a_retrieve, a_study
from tests.support.services.web import CHEAP_HASHER, Person, Site, a_node, add_people, statements

QUERIES, RETRIEVES, STUDIES = 60_000, 40_000, 50_000
#: Goal of a page, in milliseconds of CPU and waiting in the server.
GOAL_MS = 100.0
REPEATED = 5

ADDRESSES = {
    "first": "/jobs",
    "last": "/jobs?last=1",
    "oldest first": "/jobs?sort=oldest",
    "by end": "/jobs?sort=ended",
    "most kept": "/jobs?sort=largest",
    "rare status": "/jobs?status=failed",
    "frequent status": "/jobs?status=completed",
    "node": "/jobs?node=1",
    "person": "/jobs?who=person3",
    "dates": "/jobs?from=2024-06-01&until=2024-06-03",
    "id": "/jobs?q=00000123",
    "study UID": "/jobs?q=1.2.40000",
    "text, nothing found": "/jobs?q=nowhere",
    "page 101": "",
}


def rows_of(instance: object) -> dict[str, object]:
    """Return the columns of a row that is only a pattern."""
    return {name: value for name, value in vars(instance).items() if not name.startswith("_")}


def fill(database: Database) -> None:
    """Write the jobs of years, a few of them failed."""
    query, retrieve, study = rows_of(a_query()), rows_of(a_retrieve()), rows_of(a_study("1"))
    statuses = ["completed"] * 499 + ["failed"]

    def query_row(number: int) -> dict[str, object]:
        at = NOW + timedelta(minutes=10 * number)
        return query | {
            "id": f"{number:08}{'a' * 24}",
            "status": statuses[number % 500],
            "requested_by": f"person{number % 7}",
            "remote_id": 1 + number % 2,
            "requested_at": at,
            "started_at": at,
            "ended_at": at + timedelta(seconds=number % 1000),
            "studies_found": number % 1000,
            "studies_kept": number * 7919 % 1000,
        }

    def retrieve_row(number: int) -> dict[str, object]:
        at = NOW + timedelta(minutes=10 * number + 5)
        times = {"requested_at": at, "started_at": at, "ended_at": at + timedelta(seconds=9)}
        return retrieve | times | {"id": f"{number:08}{'b' * 24}", "query_id": f"{number:08}{'a' * 24}"}

    def study_row(number: int) -> dict[str, object]:
        found = {"study_instance_uid": f"1.2.{number}", "study_date": f"2024{1 + number % 12:02}01"}
        return study | found | {"job_id": f"{0:08}{'a' * 24}", "decision": "keep" if number % 3 else "drop"}

    with database.write() as session:
        for model, row, total in ((Query, query_row, QUERIES), (Retrieve, retrieve_row, RETRIEVES)):
            for begin in range(0, total, 10_000):
                session.execute(insert(model), [row(begin + number) for number in range(10_000)])
        session.execute(insert(QueryStudy), [study_row(number) for number in range(STUDIES)])
    with database.write() as session:
        session.execute(text("ANALYZE"))


@pytest.fixture
def person(database: Database, test_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    monkeypatch.setattr("shared.users.passwords._HASHER", CHEAP_HASHER)
    add_people(database)
    a_node(database, "remote", "pacs")
    a_node(database, "store", "archive")
    fill(database)
    broker = MemoryBroker()
    broker.declare()
    site = Site(test_settings, broker, database)
    yield site.person("viewer")
    site.close()


def page_of(person: Person, address: str, steps: int) -> str:
    """Return the address of the page that lies so many steps behind."""
    for _ in range(steps):
        found = person.text(address).split('rel="next" href="')[1]
        address = unescape(found.split('"')[0])
    return address


def test_a_page_of_jobs_takes_under_a_tenth_of_a_second(person: Person, database: Database):
    # Given
    addresses = ADDRESSES | {"page 101": page_of(person, "/jobs", 100)}
    rows = []
    # When
    for name, address in addresses.items():
        person.text(address)
        times_ms = []
        for _ in range(REPEATED):
            with statements(database) as sent:
                began = time.perf_counter()
                person.text(address)
                times_ms.append(1000 * (time.perf_counter() - began))
        # The least: what others do on the machine is not the page's.
        rows.append((name, min(times_ms), len(sent)))
    # Then
    print_table(f"Pages over {QUERIES + RETRIEVES:,} jobs", ("page", "ms", "statements"), rows)
    assert [name for name, least_ms, _ in rows if least_ms > GOAL_MS] == []
    assert max(number for _, _, number in rows) <= 8
