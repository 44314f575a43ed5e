"""Two workers on the same study at the same time, on PostgreSQL, which locks row by row."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from services.query.ledger.decisions import save_outcomes
from services.query.ledger.studies import add_studies, lock
from services.query.rules.model import Decided, Decision, StudyDecision
from shared.contract.reasons import Reason
from shared.database.models import QueryStudy
from shared.database.session import Database
from shared.dicom.query.matches import StudyMatch
from tests.support.jobs.rows import a_query, a_study

STUDY = "1.2.3"


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Database]:
    """A database with a query and one study that is not decided."""
    database = Database(postgres_url)
    with database.write() as session:
        session.add(a_query("query-1", status="running"))
        session.flush()
        session.add(a_study(STUDY, state="examining", decision="", reason="", type=""))
    yield database
    database.close()


def test_decision_waits_for_a_slice_that_finds_the_same_study(postgres: Database) -> None:
    # Given one worker that is ending a slice: it has locked the query
    decision = StudyDecision(STUDY, "CT", Decision.KEEP, Reason.RDSR, None)
    written: list[bool] = []

    def decide() -> None:
        with postgres.write() as session:
            written.append(bool(save_outcomes(session, "query-1", None, [Decided(decision)])))

    other = threading.Thread(target=decide)
    with postgres.write() as session:
        lock(session, "query-1")
        # When another one writes the decision on a study that the slice found as well
        other.start()
        _until_somebody_waits(postgres)
        match = StudyMatch(STUDY, ("CT",))
        found = add_studies(session, "query-1", 1, [match])
    other.join()

    # Then neither waits for the other for ever, and both have done their part
    assert found == []
    assert written == [True]
    with postgres.read() as session:
        assert session.get_one(QueryStudy, ("query-1", STUDY)).decision == "keep"


def _until_somebody_waits(database: Database) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with database.read() as session:
            if session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits for a lock")
