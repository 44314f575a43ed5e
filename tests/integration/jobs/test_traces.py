"""A job keeps the trace of its command, and its tasks and events carry it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from shared.broker.port import Message
from shared.contract.envelope import Envelope
from shared.contract.messages import RunQuery
from shared.dicom.cancellation import Cancellation
from shared.jobs.model import CancelRequest, Claim
from shared.jobs.new_task import NewTask
from shared.messaging.codec import causation_of, read_task
from shared.tracing.current import continuing, current_causation
from shared.tracing.trace_context import Causation, command_causation
from tests.integration.jobs.conftest import Bench
from tests.support.waiting import wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def command(job_id: str, **attributes: str) -> Envelope:
    return Envelope(specversion="1.0", id=job_id, source="/test", type=RunQuery.TYPE, **attributes)


@pytest.fixture
def published(bench: Bench) -> list[Message]:
    """Every event and every task of the bench, as it travels."""
    messages: list[Message] = []
    bench.broker.subscribe(["#"], messages.append)
    bench.broker.consume("query-tasks", lambda delivery: messages.append(delivery.message), workers=1)
    return messages


def attributes_of(messages: list[Message]) -> set[tuple[str, str, str]]:
    bodies = [json.loads(message.body) for message in messages]
    return {(body["traceparent"], body.get("tracestate", ""), body["causationid"]) for body in bodies}


def test_a_job_carries_the_trace_of_its_command_to_its_end(bench, published):
    # Given
    traced = {"traceparent": f"00-{TRACE}-{SPAN}-00", "tracestate": "congo=1", "causationid": "order-7"}
    received = causation_of(command("query-1", **traced))
    noticed: list[Causation | None] = []

    def notice(_claim: Claim, _cancellation: Cancellation) -> Sequence[NewTask]:
        noticed.append(current_causation())
        return []

    bench.work.act = notice
    # When
    with continuing(received):
        bench.begin(1)
    bench.control.begin("query-1")
    wait_until(lambda: any(message.routing_key == "task.query" for message in published))
    task = next(message for message in published if message.routing_key == "task.query")
    bench.engine.handle(task, False)
    bench.wait_for_end()
    # Then
    assert attributes_of(published) == {(received.context.traceparent, "congo=1", "query-1")}
    assert noticed == [Causation(received.context, "query-1")]
    assert bench.job().trace_id == TRACE
    assert bench.job().trace == {"caller": SPAN, "flags": "00", "state": "congo=1", "cause": "order-7"}


def test_a_job_that_no_command_begins_has_a_trace_of_its_own(bench, published):
    # Given: somebody else's command is in hand, as when a part of a list begins
    with continuing(command_causation("list-1", None)):
        bench.begin(1)
    # When
    bench.control.begin("query-1")
    wait_until(lambda: len(published) > 1)
    # Then
    own = command_causation("query-1", None).context
    assert attributes_of(published) == {(own.traceparent, "", "query-1")}


def test_a_job_of_an_older_version_has_the_trace_of_its_id(bench, published):
    # Given
    bench.begin(1)
    with bench.database.write() as session:
        job = session.get_one(bench.work.job_table, "query-1")
        job.trace_id = job.trace = None
    # When
    bench.control.begin("query-1")
    wait_until(lambda: len(published) > 1)
    # Then
    own = command_causation("query-1", None).context
    assert attributes_of(published) == {(own.traceparent, "", "query-1")}


def test_a_task_of_an_older_version_has_the_trace_of_its_job():
    # Given
    body = {"specversion": "1.0", "id": "m", "source": "/x", "type": "doseqr.task.v1"}
    message = Message("task.query", json.dumps(body | {"data": {"job_id": "j", "task_id": 1}}).encode(), "m")
    # When
    _, causation = read_task(message)
    # Then
    assert causation == command_causation("j", None)


def test_an_end_names_the_command_that_cancelled_the_job(bench, published):
    # Given
    bench.begin(1)
    bench.control.begin("query-1")
    # When
    bench.control.cancel("query-1", CancelRequest("cancel-1", "physicist"))
    bench.wait_for_end()
    # Then
    wait_until(lambda: any(".cancelled." in message.routing_key for message in published))
    end = next(json.loads(message.body) for message in published if ".cancelled." in message.routing_key)
    assert end["causationid"] == "cancel-1"
    assert end["traceparent"] == command_causation("query-1", None).context.traceparent
