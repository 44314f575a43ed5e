"""Spans over a real OTLP/HTTP connection: their trace, their ids, and a collector that is not well."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from shared.clock import utc_now
from shared.dicom.errors import NotNowError, Outcome, PeerError
from shared.lifecycle import Lifecycle
from shared.service import start_spans
from shared.tracing.spans import NO_SPAN, command_span, ended_span, span, spans_are_exported
from shared.tracing.trace_context import TraceContext, command_causation
from tests.support.servers.otlp_sink import OtlpSink, otlp_sink
from tests.support.waiting import wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpSink]:
    with otlp_sink() as sink:
        monkeypatch.setenv(ENDPOINT, sink.endpoint)
        yield sink


def record(job_id: str = "job-1", caller: TraceContext | None = None) -> None:
    """Record a command with a task and an association below it, and send all of it."""
    with Lifecycle() as lifecycle:
        start_spans("query", lifecycle)
        causation = command_causation(job_id, caller)
        with (
            command_span(causation, "command query", {}),
            span("task query slice", {"doseqr.task.id": 7}),
            span("association C-FIND", {}, to_peer=True),
        ):
            pass
        ended_span("batch of objects", causation.context, utc_now(), {"doseqr.objects": 3})


def test_spans_are_in_the_trace_of_the_caller(sink):
    # When
    record(caller=TraceContext(TRACE, SPAN))
    # Then
    spans = {span.name: span for span in sink.spans}
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    command, task = spans["command query"], spans["task query slice"]
    assert command.parent_span_id.hex() == SPAN
    own = command_causation("job-1", TraceContext(TRACE, SPAN)).context.span_id
    assert command.span_id.hex() == own
    assert task.parent_span_id == command.span_id
    assert spans["association C-FIND"].parent_span_id == task.span_id
    assert spans["batch of objects"].parent_span_id == command.span_id


def test_a_command_that_comes_twice_is_the_same_span(sink):
    # When
    record()
    record()
    # Then
    first, second = sink.named("command")
    own = command_causation("job-1", None).context
    assert (first.trace_id.hex(), first.span_id.hex()) == (own.trace_id, own.span_id)
    assert (first.trace_id, first.span_id) == (second.trace_id, second.span_id)


def test_nothing_is_sent_of_a_trace_that_its_caller_does_not_sample(sink):
    # When
    record(caller=TraceContext(TRACE, SPAN, "00"))
    # Then
    assert sink.spans == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PeerError(Outcome.TIMED_OUT, "of JANE^DOE"), PeerError(Outcome.TIMED_OUT, "").code),
        (ValueError("of JANE^DOE"), "ValueError"),
        (NotNowError(utc_now(), "of JANE^DOE"), ""),
    ],
)
def test_a_failed_span_has_a_code_and_no_text(sink, error, code):
    # When
    with Lifecycle() as lifecycle:
        start_spans("query", lifecycle)
        with pytest.raises(type(error)), span("task", {}):
            raise error
    # Then
    (task,) = sink.spans
    attributes = {attribute.key: attribute.value.string_value for attribute in task.attributes}
    assert attributes.get("error.type", "") == code
    assert b"JANE" not in b"".join(sink.bodies)
    assert len(task.events) == 0


@pytest.mark.parametrize("trouble", ["away", "refuses", "hangs"])
def test_a_collector_that_is_not_well_holds_nothing(sink, monkeypatch, trouble):
    # Given
    if trouble == "away":
        monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    elif trouble == "refuses":
        sink.status = 503
    else:
        sink.respond.clear()
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "32")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    # When
    with Lifecycle() as lifecycle:
        start_spans("query", lifecycle)
        began = time.monotonic()
        for _ in range(2000):
            with span("task", {}):
                pass
        recorded_s = time.monotonic() - began
    stopped_s = time.monotonic() - began - recorded_s
    # Then
    assert recorded_s < 5
    assert stopped_s < 10
    assert not spans_are_exported()
    # Its tries end before other tests begin
    wait_until(lambda: all(thread.name != "last spans" for thread in threading.enumerate()), 30)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {ENDPOINT: ""},
        {ENDPOINT: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {ENDPOINT: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
        {ENDPOINT: "http://127.0.0.1:1", "OTEL_BSP_MAX_QUEUE_SIZE": "-1"},
    ],
)
def test_nothing_is_exported_unless_it_is_configured(monkeypatch, variables):
    # Given
    monkeypatch.delenv(ENDPOINT, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    # When
    with Lifecycle() as lifecycle:
        start_spans("query", lifecycle)
        # Then
        assert not spans_are_exported()
        with span("task", {}) as task:
            assert task is NO_SPAN
