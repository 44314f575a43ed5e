"""`doseqr pause`, `resume`, `raise` and `follow`: what they publish, print and end with."""

from __future__ import annotations

import json

import pytest

from services.cli.output.progress import PlainReporter
from shared.contract.messages import CancelJob, PauseJob, RaiseJob, ResumeJob
from shared.database.models import Query
from shared.database.session import Database
from shared.messaging.publisher import Publisher
from shared.reading.jobs import Job
from tests.support.jobs.rows import a_query
from tests.support.services.cli import Doseqr
from tests.support.services.fake_services import FakeServices


def remember(doseqr: Doseqr, **columns: object) -> None:
    database = Database(doseqr.settings.database)
    with database.write() as session:
        session.add(a_query("query-1", **columns))
    database.close()


def test_a_running_query_is_paused_and_resumed(doseqr: Doseqr, services: FakeServices) -> None:
    # Given
    remember(doseqr, status="running")
    # When
    paused = doseqr("pause", "quer")
    resumed = doseqr("resume", "query-1", "--json")
    # Then
    assert (paused.code, resumed.code) == (0, 0)
    assert paused.out.startswith("Query query-1: running (paused by ")
    assert resumed.json["paused"] is False
    assert {type(command) for command in services.commands} == {PauseJob, ResumeJob}


def test_pausing_what_has_ended_changes_nothing(doseqr: Doseqr) -> None:
    # Given
    remember(doseqr)
    # When
    result = doseqr("pause", "query-1")
    # Then
    assert (result.code, result.out) == (0, "Query query-1: completed\n")


@pytest.mark.parametrize(
    "arguments", [(), ("query-1", "--node", "pacs"), ("nothing",), ("--node", "nothing")]
)
def test_what_names_nothing_to_pause_is_wrong_usage(doseqr: Doseqr, arguments: tuple[str, ...]) -> None:
    # Given
    remember(doseqr)
    # When / Then
    assert doseqr("pause", *arguments).code == 2
    assert doseqr("resume", *arguments).code == 2


def test_a_running_query_is_raised_once(doseqr: Doseqr, services: FakeServices) -> None:
    # Given
    remember(doseqr, status="running")
    # When
    raised = doseqr("raise", "query-1")
    again = doseqr("raise", "query-1", "--json")
    # Then
    assert (raised.code, again.code, again.json["raised"]) == (0, 0, True)
    assert raised.out.startswith("Query query-1: running (raised by ")
    assert {type(command) for command in services.commands} == {RaiseJob}


@pytest.mark.parametrize(
    ("command", "message"),
    [("cancel", CancelJob), ("pause", PauseJob), ("resume", ResumeJob), ("raise", RaiseJob)],
)
def test_an_order_waits_behind_a_job_that_nobody_has_taken(
    doseqr: Doseqr, services: FakeServices, command: str, message: type[object]
) -> None:
    # Given
    services.stop_service("query")
    job_id = "4f1c2f6e1a7b4f6d9f9b3a7f2f6f0c11"
    # When
    result = doseqr(command, job_id, "--json")
    # Then
    assert (result.code, result.json) == (0, {"id": job_id, "status": "queued"})
    assert "as soon as one takes it" in result.err
    assert services.broker.queue_state("query").ready == 1


def test_an_order_about_no_job_is_refused_by_the_worker(doseqr: Doseqr, services: FakeServices) -> None:
    # Given
    services.script.reject = ("data.job_id", "there is no such job")
    # When
    result = doseqr("pause", "4f1c2f6e1a7b4f6d9f9b3a7f2f6f0c11")
    # Then
    assert (result.code, "there is no such job" in result.err) == (2, True)


def test_a_node_is_paused_though_the_broker_is_away(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    # When
    paused = doseqr("pause", "--node", "pacs", "--json")
    listed = doseqr("nodes", "list", "--json")
    resumed = doseqr("resume", "--node", "2")
    # Then
    assert (paused.code, paused.json["paused"]) == (0, True)
    assert "no event was published" in paused.err
    assert next(node for node in listed.json if node["name"] == "pacs") == paused.json
    assert resumed.out == "Remote node pacs is not paused.\n"


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("incomplete", 1), ("cancelled", 130)])
def test_following_what_has_ended_needs_no_broker(doseqr: Doseqr, status: str, code: int) -> None:
    # Given
    remember(doseqr, status=status)
    # When
    plain, lines = doseqr("follow", "query-1"), doseqr("follow", "query-1", "--json")
    # Then
    assert (plain.code, plain.out) == (code, f"Query query-1: {status}\n")
    assert (lines.code, lines.json["event"]) == (code, status)


def test_a_job_begun_elsewhere_is_followed_to_its_end(
    doseqr: Doseqr, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    remember(doseqr, status="running")
    show = PlainReporter.show

    def show_and_cancel(reporter: PlainReporter, job: Job, pace: str = "") -> None:
        show(reporter, job, pace)
        if not services.commands:
            Publisher(services.broker, "test").command(CancelJob(job_id="query-1"))

    monkeypatch.setattr(PlainReporter, "show", show_and_cancel)
    # When
    result = doseqr("follow", "query-1", "--json")
    # Then
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert (result.code, lines[0]["event"], lines[-1]["event"]) == (130, "status", "cancelled")
    assert lines[0]["data"]["status"] == "running"
    assert lines[-1]["data"]["job_id"] == "query-1"


def test_interrupting_follow_leaves_the_job_running(
    doseqr: Doseqr, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    remember(doseqr, status="running")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("services.cli.output.progress.PlainReporter.show", interrupt)
    # When
    result = doseqr("follow", "query-1")
    # Then
    assert (result.code, services.commands) == (130, [])
    assert "goes on" in result.err
    with services.database.read() as session:
        assert session.get_one(Query, "query-1").status == "running"
