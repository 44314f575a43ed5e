"""Who gets a rejection when a command makes no sense."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

import pytest

from shared.broker.memory.broker import MemoryBroker
from shared.broker.port import Message
from shared.contract.envelope import Envelope
from shared.contract.messages import CancelJob, EchoCompleted, EchoNodes, Rejected, RunQuery, RunTask
from shared.errors import InvalidInputError
from shared.messaging.codec import decode_command, decode_event
from shared.messaging.command_router import CommandHandler, CommandRouter, EventResponse
from shared.messaging.publisher import Publisher
from shared.tracing.current import continuing
from shared.tracing.trace_context import command_causation
from tests.support.waiting import wait_until

ENVELOPE = {"specversion": "1.0", "id": "mine-1", "source": "/test", "type": "doseqr.command.echo.v1"}


def rejection_of(body: bytes, message_id: str = "") -> tuple[str, Rejected]:
    """Return routing key and payload of the response to a message that is no command."""
    broker = MemoryBroker()
    events: list[Message] = []
    broker.subscribe(["command.#"], events.append)
    router = CommandRouter({}, Publisher(broker, "test"))
    with pytest.raises(InvalidInputError):
        router(Message("echo", body, message_id), False)
    wait_until(lambda: bool(events))
    broker.close()
    _, event = decode_event(events[0])
    assert isinstance(event, Rejected)
    return events[0].routing_key, event


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "doseqr.command.dance.v1"}, "type"),
        ({"data": {"nodes": "all"}}, "data.nodes"),
        ({"specversion": "0.3"}, "specversion"),
        ({"source": ""}, "source"),
    ],
)
def test_sender_gets_its_rejection_under_the_id_in_its_message(change, field):
    # Given
    body = json.dumps({**ENVELOPE, **change}).encode()
    # When
    routing_key, event = rejection_of(body)
    # Then
    assert routing_key == "command.rejected.mine-1"
    assert (event.command_id, event.field) == ("mine-1", field)
    assert event.command_type == {**ENVELOPE, **change}["type"]


@pytest.mark.parametrize("odd", ["\0", "doseqr.command.\0", "\ud800"])
@pytest.mark.parametrize("place", ["type", "name"])
def test_a_rejection_repeats_nothing_that_no_message_may_hold(odd, place):
    # Given
    change = {"type": odd, "time": "never"} if place == "type" else {"data": {odd: 1}}
    body = json.dumps({**ENVELOPE, **change}).encode()
    # When
    _, event = rejection_of(body)
    # Then
    assert event.command_id == "mine-1"
    assert event.problem
    assert "\0" not in event.command_type + event.field


def test_what_cannot_be_read_is_rejected_under_the_id_of_its_properties():
    # When
    routing_key, event = rejection_of(b"\xff no JSON", "theirs-1")
    # Then
    assert routing_key == "command.rejected.theirs-1"
    assert (event.command_id, event.command_type, event.field) == ("theirs-1", "", "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"id": 7}',
        b'{"id": "a.b.#"}',
        b"[" * 100_000,
        json.dumps({"id": "x" * 65}).encode(),
    ],
)
def test_message_without_a_usable_id_is_rejected_without_one(body):
    # When
    routing_key, event = rejection_of(body)
    # Then
    assert routing_key == "command.rejected"
    assert event.command_id == ""


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"remote": "a\0b", "store": "doseqr", "criteria": {}}, "data.remote"),
        ({"remote": "pacs", "store": "doseqr", "criteria": {"types": ["C\0T"]}}, "data.criteria.types.0"),
        ({"remote": "pacs", "store": "doseqr", "criteria": {"a\0": 1}}, "data.criteria"),
        ({"remote": "pacs", "store": "doseqr", "criteria": {}, "requested_by": "\0"}, "data.requested_by"),
        ({"remote": True, "store": "doseqr", "criteria": {}}, "data.remote"),
        ({"remote": 2**31, "store": "doseqr", "criteria": {}}, "data.remote"),
        ({"remote": "pacs", "store": 10**30, "criteria": {}}, "data.store"),
        ({"remote": "pacs", "store": "doseqr", "criteria": {}, "retrieve": "yes"}, "data.retrieve"),
    ],
)
def test_what_no_database_can_hold_is_rejected_by_its_field(data, field):
    # Given
    body = json.dumps({**ENVELOPE, "type": RunQuery.TYPE, "data": data}).encode()
    # When
    _, event = rejection_of(body)
    # Then
    assert event.field == field


@pytest.mark.parametrize("task_id", [0, -1, 2**31, 10**30])
def test_a_task_with_an_impossible_id_is_malformed(task_id):
    # Given
    data = {"job_id": "job-1", "task_id": task_id}
    body = json.dumps({**ENVELOPE, "type": RunTask.TYPE, "data": data}).encode()
    # When / Then
    with pytest.raises(InvalidInputError, match="task_id"):
        decode_command(Message("task.query", body, "mine-1"))


def test_an_unknown_type_lists_only_public_types():
    # When
    _, event = rejection_of(json.dumps({**ENVELOPE, "type": "doseqr.command.dance.v1"}).encode())
    # Then
    assert RunQuery.TYPE in event.problem
    assert RunTask.TYPE not in event.problem


def test_a_malformed_command_of_two_services_is_rejected_by_one():
    # Given
    broker = MemoryBroker()
    events: list[Message] = []
    broker.subscribe(["command.#"], events.append)
    body = json.dumps({**ENVELOPE, "type": CancelJob.TYPE, "data": {}}).encode()
    first = CommandRouter({}, Publisher(broker, "first"))
    second = CommandRouter({}, Publisher(broker, "second"), also_read_elsewhere=(CancelJob,))
    # When
    with pytest.raises(InvalidInputError):
        first(Message("cancel", body, "mine-1"), False)
    second(Message("cancel", body, "mine-1"), False)
    # Then
    wait_until(lambda: bool(events))
    broker.close()
    assert len(events) == 1


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACED = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "tracestate": "congo=1", "causationid": "order-7"}


def responses_to(envelope: Mapping[str, object], handler: CommandHandler) -> list[Message]:
    """Return the events that a command led to."""
    broker = MemoryBroker()
    events: list[Message] = []
    broker.subscribe(["#"], events.append)
    router = CommandRouter({EchoNodes: handler}, Publisher(broker, "test"))
    with suppress(InvalidInputError):
        router(Message("echo", json.dumps(envelope).encode(), "mine-1"), False)
    wait_until(lambda: bool(events))
    broker.close()
    return events


def completed(envelope: Envelope, command: EchoNodes) -> EventResponse:
    return EventResponse(EchoCompleted(echo_id=envelope.id, results=[]), "echo", envelope.id)


def refused(envelope: Envelope, command: EchoNodes) -> None:
    raise InvalidInputError("data.nodes", "unknown")


@pytest.mark.parametrize(
    ("change", "handler"), [({}, completed), ({}, refused), ({"data": {"nodes": "all"}}, completed)]
)
def test_an_event_is_in_the_trace_of_its_command(change, handler):
    # When
    (message,) = responses_to({**ENVELOPE, **TRACED, **change}, handler)
    # Then
    event = json.loads(message.body)
    assert event["traceparent"].split("-")[1] == TRACE
    assert event["traceparent"] != TRACED["traceparent"]
    assert (event["tracestate"], event["causationid"]) == ("congo=1", "mine-1")


@pytest.mark.parametrize("odd", [7, "", "\n", ["x"], {"a": "b"}, "0" * 100_000, None, True])
def test_a_malformed_trace_refuses_no_command(odd):
    # When
    odd_trace = {"traceparent": odd, "tracestate": odd, "causationid": odd}
    (message,) = responses_to({**ENVELOPE, **odd_trace}, completed)
    # Then
    event = json.loads(message.body)
    assert event["type"] == EchoCompleted.TYPE
    assert (event["causationid"], "tracestate" in event) == ("mine-1", False)


def test_a_command_without_a_trace_is_in_the_same_each_time():
    # When
    events = [responses_to(ENVELOPE, completed)[0] for _ in range(2)]
    # Then
    first, second = (json.loads(event.body)["traceparent"] for event in events)
    assert first == second


def test_a_published_command_continues_what_the_thread_works_on():
    # Given
    broker = MemoryBroker()
    broker.declare()
    taken: list[Message] = []
    consumer = broker.consume("echo", lambda delivery: taken.append(delivery.message), workers=1)
    # When
    with continuing(command_causation("job-1", None)):
        Publisher(broker, "test").command(EchoNodes(nodes=[]))
    wait_until(lambda: bool(taken))
    consumer.stop(1)
    broker.close()
    # Then
    command = json.loads(taken[0].body)
    assert command["traceparent"] == command_causation("job-1", None).context.traceparent
    assert command["causationid"] == "job-1"
