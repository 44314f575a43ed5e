"""What is proven is the same after old jobs are removed, and after whatever comes then."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from services.query.ledger.folding import remove_jobs
from services.query.ledger.folding.remove_jobs import (
    QueryRemoval,
    begun_query,
    oldest_query,
    remove_rest,
)
from shared.database.models import Query, QueryStudy, QueryTask
from shared.database.session import Database
from shared.evidence.ris_list import RisLine, RisList
from shared.reading.evidence.calendar import calendar_json
from shared.reading.evidence.coverage import StationFilter, StudyDays, coverage_json, station_studies
from shared.reading.evidence.reconciliation import reconcile
from shared.reading.retention.due_jobs import KEPT
from shared.settings import Settings
from tests.support.evidence.hospital import FIRST, LAST, NOW, PACS, TYPES, Hospital, clear
from tests.support.examples import examples
from tests.support.servers.databases import prepare

BEFORE = NOW + dt.timedelta(days=1)
PERIOD = StudyDays(FIRST, LAST + dt.timedelta(days=3))
#: A list from the RIS of all studies, by UID and by accession number, and of some that nobody knows.
LINES = [
    *(RisLine(number, study_instance_uid=f"1.2.{number}") for number in range(10)),
    *(RisLine(10 + number, accession_number=f"A{number}", day=FIRST) for number in range(10)),
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path_factory.mktemp('folding') / 'jobs.sqlite'}")
    prepare(found)
    yield found
    found.close()


def evidence(session: Session) -> list[object]:
    """Return all that is shown of a node, but for the jobs, which may be removed."""
    session.expire_all()
    site = Settings()
    listed, number = station_studies(session, PACS, PERIOD, StationFilter())
    reconciled = reconcile(session, PACS, RisList(LINES, [], 0), site, NOW)
    return [
        calendar_json(session, PACS, TYPES, FIRST.replace(day=1), site, NOW),
        coverage_json(session, PACS, TYPES, PERIOD, 2, NOW),
        ([{**study, "job_id": "", "accession_number": ""} for study in listed], number),
        {**reconciled, "lines": [{**line, "job": ""} for line in reconciled["lines"]]},
    ]


def remove_all(session: Session, random: Random, *, dies: bool = True, steps: int = 10_000) -> None:
    """Remove every query that may go, or die half-way."""
    ended = update(Query).where(Query.status != "running")
    session.execute(ended.values(announced_at=NOW, ended_at=NOW))
    removal: QueryRemoval | None = None
    for _ in range(steps):
        if removal is None:
            job_id = begun_query(session) or oldest_query(session, BEFORE)
            if job_id is None:
                remove_rest(session, BEFORE)
                return
            removal = QueryRemoval(job_id, BEFORE)
        more, _ = removal.step(session)
        if not more:
            removal = None
        if dies and random.random() < 0.05:
            return


def play(session: Session, actions: list[str], seed: int, *, removes: bool) -> list[object]:
    clear(session)
    hospital = Hospital(session, Random(seed), stable=True)
    for action in actions:
        if action == "remove":
            hospital.tally(100)
            if removes:
                remove_all(session, Random(seed))
        else:
            getattr(hospital, action)()
        session.expire_all()
    hospital.end()
    return evidence(session)


@settings(max_examples=examples(8))
@given(
    st.lists(st.sampled_from(["begin", "begin", "begin", "end", "remove", "store"]), min_size=3, max_size=14),
    st.integers(),
)
def test_evidence_is_the_same_with_and_without_removed_jobs(
    database: Database, actions: list[str], seed: int
) -> None:
    PACS.hours, PACS.time_zone = "", ""
    with database.write() as session, pytest.MonkeyPatch.context() as patch:
        # Given
        patch.setattr(remove_jobs, "STUDIES_AT_ONCE", 2)
        patch.setattr(remove_jobs, "ROWS_AT_ONCE", 6)
        expected = play(session, actions, seed, removes=False)
        # When
        found = play(session, actions, seed, removes=True)
        # Then
        assert found == expected
        # And: the same once all that has ended is removed
        Hospital(session, Random(0)).tally(100)
        remove_all(session, Random(1), dies=False)
        assert evidence(session) == expected
        kept = session.scalars(select(Query.folding).where(Query.status != "running"))
        assert set(kept) <= {KEPT}
        assert not session.scalar(select(func.count()).where(QueryTask.state == "done"))
        assert not session.scalar(select(func.count()).where(QueryStudy.study_date != ""))
