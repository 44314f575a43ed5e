"""The list of jobs: which are found, in which order, and that all pages together hold each job once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.database.session import Database
from shared.reading.lists.job_search import SORTS, JobSearch, find_jobs, key_of, latest_of, running_retrieves
from shared.reading.lists.keyset import Place
from tests.support.jobs.rows import NOW, a_query, a_retrieve, a_study
from tests.support.servers.databases import prepare

JOBS = 23


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    prepare(database)
    yield database
    database.close()


@pytest.fixture
def ids(database):
    """Find jobs, and return the ids of a page."""

    def find(wanted: JobSearch, place: Place = Place(), limit: int = 50) -> list[str]:  # noqa: B008
        with database.read() as session:
            return [entry.job.id for entry in find_jobs(session, wanted, place, limit).rows]

    return find


@pytest.fixture
def many(database):
    """Queries and retrieves of which some were requested at the same moment."""
    with database.write() as session:
        for number in range(JOBS):
            at = NOW + timedelta(minutes=number // 3)
            columns = {"requested_at": at, "ended_at": at + timedelta(seconds=number % 5)}
            query = a_query(f"q{number:02}", studies_kept=number % 4, **columns)
            session.add(query)
            session.flush()
            session.add(a_retrieve(f"r{number:02}", f"q{number:02}", arrived=number % 3, **columns))


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("wanted", [JobSearch(), JobSearch(status="completed")], ids=["grouped", "single"])
def test_pages_hold_each_job_once_both_ways(database, many, ids, sort, wanted):
    # Given
    wanted = JobSearch(status=wanted.status, sort=sort)
    everything = ids(wanted, limit=100)
    forwards, backwards = [], []
    # When
    with database.read() as session:
        page = find_jobs(session, wanted, Place(), 5)
        forwards.append(page)
        while page.has_next:
            page = find_jobs(session, wanted, Place(after=key_of(page.rows[-1].job, sort)), 5)
            forwards.append(page)
        page = find_jobs(session, wanted, Place(last=True), 5)
        backwards.append(page)
        while page.has_previous:
            page = find_jobs(session, wanted, Place(before=key_of(page.rows[0].job, sort)), 5)
            backwards.append(page)
    # Then
    assert len(set(everything)) == len(everything) == (2 * JOBS if wanted.status else JOBS)
    assert [entry.job.id for page in forwards for entry in page.rows] == everything
    assert [entry.job.id for page in reversed(backwards) for entry in page.rows] == everything
    assert [page.has_previous for page in forwards] == [False] + [True] * (len(forwards) - 1)
    assert [page.has_next for page in backwards] == [False] + [True] * (len(backwards) - 1)


def test_retrieves_stand_with_their_query_unless_searched(database, ids):
    # Given
    with database.write() as session:
        session.add(a_query("q1"))
        session.flush()
        session.add(a_retrieve("r1", "q1", status="failed", requested_at=NOW))
        session.add(a_retrieve("r2", "q1", requested_at=NOW + timedelta(hours=1), requested_by="anna"))
    # When
    with database.read() as session:
        page = find_jobs(session, JobSearch(), Place(), 10)
    # Then
    assert [[retrieve.id for retrieve in entry.retrieves] for entry in page.rows] == [["r2", "r1"]]
    assert ids(JobSearch(status="failed")) == ["r1"]
    assert ids(JobSearch(requested_by="anna")) == ["r2"]
    assert ids(JobSearch(kind="query", status="failed")) == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (JobSearch(text="3fa9"), ["3fa9bc12"]),
        (JobSearch(text="1.2.3"), ["with-study"]),
        (JobSearch(text="KNEE"), ["with-term"]),
        (JobSearch(text="100%"), []),
        (JobSearch(text="basement"), ["3fa9bc12"]),
        (JobSearch(remote_id=7), ["3fa9bc12"]),
        (JobSearch(store_id=9), ["with-study"]),
        (JobSearch(requested_from=NOW, requested_before=NOW + timedelta(seconds=1)), ["with-term"]),
    ],
)
def test_jobs_are_found_by_text_node_and_time(database, ids, wanted, found):
    # Given
    with database.write() as session:
        session.add(
            a_query("3fa9bc12", remote_id=7, remote_name="Basement", requested_at=NOW - timedelta(days=1))
        )
        session.add(a_query("with-study", store_id=9, requested_at=NOW + timedelta(days=1)))
        session.add(a_query("with-term", criteria={"types": ["CT"], "exclude_descriptions": ["knee"]}))
        session.flush()
        session.add(a_study("1.2.3", "with-study"))
    # Then
    assert ids(wanted) == found


def test_running_retrieves_of_other_pages_are_found(database):
    # Given
    with database.write() as session:
        session.add_all([a_query("old"), a_query("new", requested_at=NOW + timedelta(days=9))])
        session.flush()
        session.add_all(
            [a_retrieve("of-old", "old", status="running"), a_retrieve("of-new", "new", status="running")]
        )
    # When
    with database.read() as session:
        page = find_jobs(session, JobSearch(), Place(), 1)
        found = running_retrieves(session, page.rows)
    # Then
    assert [(entry.job.id, entry.query.id if entry.query else "") for entry in found] == [("of-old", "old")]


def test_the_last_jobs_of_a_person_begin_with_running(database):
    # Given
    with database.write() as session:
        for number, status in enumerate(("running", "completed", "completed")):
            at = NOW + timedelta(hours=number)
            session.add(a_query(f"q{number}", requested_by="anna", status=status, requested_at=at))
        session.add(a_query("other", requested_by="ben", status="running"))
    # When
    with database.read() as session:
        found = [entry.job.id for entry in latest_of(session, "anna", 3)]
    # Then
    assert found == ["q0", "q2", "q1"]
