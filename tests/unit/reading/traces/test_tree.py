"""The trace of a job: every job of it, the tasks of one, and what is found by any of its ids."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.database.models import HandoverBatch, RetrieveCommitment, RetrieveMove, RetrieveTask
from shared.database.session import Database
from shared.reading.jobs import UnknownJobError
from shared.reading.traces.tasks import MAX_REQUESTS
from shared.reading.traces.tree import MAX_BATCHES, find_traced, job_trace
from shared.tracing.trace_context import TraceContext, command_causation
from tests.support.jobs.rows import NOW, a_find, a_query, a_retrieve, a_task, an_expected

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.fixture
def traced(database: Database) -> Database:
    """A query with two slices, whose retrieve brought one of two objects, and which was rerun."""
    query = a_query(
        ended_at=NOW + timedelta(seconds=9),
        round=1,
        asked_again=[{"command_id": "again-1", "requested_by": "x", "at": NOW.isoformat()}],
        pause_commands=["pause-1", "resume-1"],
        studies_found=2,
        finds=25,
    )
    query.join_trace(command_causation("query-1", TraceContext(TRACE, SPAN), "order-7"))
    retrieve = a_retrieve("query-1-r", requested_at=NOW + timedelta(seconds=10))
    retrieve.join_trace(command_causation("query-1-r", query.causation.context, "query-1"))
    later = a_retrieve("later", requested_at=NOW + timedelta(days=3))
    later.join_trace(command_causation("later", None))
    with database.write() as session:
        session.add_all([query, a_query("other")])
        session.flush()
        session.add_all([retrieve, later, a_task(id=1, state="done"), a_task(id=2, parent_id=1)])
        session.flush()
        session.add_all([a_find(1) for _ in range(MAX_REQUESTS + 5)])
        session.add_all(transfers())
        session.add_all(a_batch(number) for number in range(MAX_BATCHES + 1))
    return database


def transfers() -> list[object]:
    task = RetrieveTask(
        id=7, job_id="query-1-r", kind="move", state="done", created_at=NOW, due_at=NOW, starts=0, failures=1
    )
    of_task = {"job_id": "query-1-r", "task_id": 7, "asked_at": NOW}
    move = RetrieveMove(
        **of_task, level="SERIES", keys={}, status_code=0xB000, completed=1, failed=1, duration_ms=40
    )
    commitment = RetrieveCommitment(**of_task, transaction_uid="1.2.9", objects=1, committed=1)
    objects = [
        an_expected("1.2", "1.2.3", "1.2.3.1", "query-1-r", task_id=7),
        an_expected("1.2", "1.2.3", "1.2.3.2", "query-1-r", task_id=7, state="failed"),
    ]
    return [task, move, commitment, *objects]


def a_batch(number: int) -> HandoverBatch:
    return HandoverBatch(
        id=f"batch-{number}",
        job_id="query-1-r",
        state="done",
        objects=1,
        attempts=1,
        created_at=NOW,
        last_added_at=NOW,
        due_at=NOW,
    )


@pytest.mark.parametrize(
    ("identifier", "job_id"),
    [
        ("query-1", "query-1"),
        ("query-1-r", "query-1-r"),
        (TRACE, "query-1"),
        (f"00-{TRACE}-{SPAN}-01", "query-1"),
        ("again-1", "query-1"),
        ("resume-1", "query-1"),
        ("pause-1-paused", "query-1"),
        ("query-1-r-completed", "query-1-r"),
        ("late", "later"),
    ],
)
def test_a_trace_is_found_by_any_of_its_ids(traced, identifier, job_id):
    with traced.read() as session:
        assert find_traced(session, identifier).id == job_id


@pytest.mark.parametrize("identifier", ["nothing", "0" * 32, "f" * 32, "%", "", "-completed", "ä"])
def test_an_id_that_means_nothing_is_refused(traced, identifier):
    with traced.read() as session, pytest.raises(UnknownJobError):
        find_traced(session, identifier)


@pytest.mark.parametrize("job_id", ["query-1", "query-1-r"])
def test_a_trace_has_the_query_and_all_its_retrieves(traced, job_id):
    # When
    with traced.read() as session:
        read = job_trace(session, find_traced(session, job_id), limit=10)
    # Then
    assert (read["trace_id"], read["job"]) == (TRACE, job_id)
    assert [job["id"] for job in read["jobs"]] == ["query-1", "query-1-r", "later"]
    query, retrieve, _ = read["jobs"]
    assert (query["caller_span_id"], query["caused_by"], query["duration_s"]) == (SPAN, "order-7", 9.0)
    assert query["commands"] == ["again-1", "pause-1", "resume-1"]
    assert query["tasks"] == {"slice": {"done": 1, "failed": 1}}
    assert query["requests"] == 25
    assert (retrieve["query"], retrieve["caused_by"]) == ("query-1", "query-1")
    assert retrieve["objects"] == {"arrived": 1, "failed": 1}
    assert (len(retrieve["handover"]), retrieve["batches_left_out"]) == (MAX_BATCHES, 1)


def test_the_tasks_of_a_job_come_in_pages(traced):
    # When
    with traced.read() as session:
        query = find_traced(session, "query-1")
        first = job_trace(session, query, limit=1)
        second = job_trace(session, query, limit=1, after=int(first["next"] or ""))
        last = job_trace(session, query, limit=1, after=int(second["next"] or ""))
    # Then
    (task,) = first["tasks"]
    assert (task["id"], len(task["requests"]), task["requests_left_out"]) == (1, MAX_REQUESTS, 5)
    assert task["requests"][0]["operation"] == "C-FIND"
    assert [task["parent"] for task in second["tasks"]] == [1]
    assert (last["tasks"], last["next"]) == ([], None)


def test_a_task_of_a_retrieve_has_its_requests_and_objects(traced):
    # When
    with traced.read() as session:
        (task,) = job_trace(session, find_traced(session, "query-1-r"), limit=10)["tasks"]
    # Then
    assert task["objects"] == {"arrived": 1, "failed": 1}
    requests = {request["operation"]: request for request in task["requests"]}
    assert requests["C-MOVE or C-GET"]["sub_operations"] == {"completed": 1, "failed": 1}
    assert requests["storage commitment"]["objects"] == {"requested": 1, "committed": 1, "failed": 0}


def test_a_job_of_an_older_version_has_a_trace_too(traced):
    # When
    with traced.read() as session:
        read = job_trace(session, find_traced(session, "other"), limit=10)
    # Then
    assert read["trace_id"] == command_causation("other", None).context.trace_id
    assert [job["id"] for job in read["jobs"]] == ["other"]
