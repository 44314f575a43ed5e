"""The claim of a query's probe, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.query.ledger.study_probe import ProbeLedger, ProbeState
from shared.database.models import Query, QueryTask
from shared.database.session import Database
from shared.jobs.model import Claim
from shared.querying.payloads import SLICE
from tests.support.jobs.rows import NOW, a_query

LEASED_UNTIL = NOW + timedelta(seconds=30)


@pytest.fixture
def slices(database: Database) -> list[Claim]:
    """Return the claims of two slices of a query that are being searched."""
    with database.write() as session:
        session.add(a_query("query-1", status="running"))
        session.flush()
        tasks = [
            QueryTask(
                job_id="query-1",
                kind=SLICE,
                payload={},
                state="running",
                created_at=NOW,
                due_at=NOW,
                claim_token=token,
                lease_until=LEASED_UNTIL,
            )
            for token in ("first", "second")
        ]
        session.add_all(tasks)
        session.flush()
        return [Claim("query-1", task.id, SLICE, {}, task.claim_token or "", 0, 0.0) for task in tasks]


def probe(database: Database, claim: Claim, after_s: float = 0.0) -> ProbeLedger:
    return ProbeLedger(database, claim, lambda: NOW + timedelta(seconds=after_s))


def test_one_of_several_tasks_probes(database: Database, slices: list[Claim]):
    # Given
    first, second = (probe(database, claim) for claim in slices)
    # When
    states = [first.take(), second.take(), first.take()]
    # Then
    assert states == [ProbeState.OURS, ProbeState.OTHERS, ProbeState.OURS]
    assert first.begun_slices() == 2


@pytest.mark.parametrize(
    ("names_study", "state"), [(True, ProbeState.NAMES_A_STUDY), (False, ProbeState.NAMES_NONE)]
)
def test_what_a_probe_found_stands_for_all_tasks(database: Database, slices: list[Claim], names_study, state):
    # Given
    first, second = (probe(database, claim) for claim in slices)
    first.take()
    # When
    first.record(lambda _: None, names_study=names_study)
    # Then
    assert (first.take(), second.take()) == (state, state)


@pytest.mark.parametrize("end", ["lease over", "given back", "claimed anew"])
def test_the_probe_of_a_dead_worker_is_taken_over(database: Database, slices: list[Claim], end: str):
    # Given
    first, second = slices
    probe(database, first).take()
    # When
    with database.write() as session:
        task = session.get_one(QueryTask, first.task_id)
        if end == "given back":
            task.state = "pending"
        elif end == "claimed anew":
            task.claim_token = "third"
    state = probe(database, second, after_s=31.0 if end == "lease over" else 0.0).take()
    # Then
    assert state is ProbeState.OURS
    with database.read() as session:
        assert session.get_one(Query, "query-1").probe_token == second.token
