"""A query, its retrieve and its hand-over in one trace; what names a patient is in no span, event or log."""

from __future__ import annotations

import dataclasses
import io
import sys
from collections.abc import Iterator

import pytest
import structlog

from shared.broker.port import Message
from shared.contract.messages import RunQuery
from shared.lifecycle import Lifecycle
from shared.logs import configure
from shared.messaging.publisher import Publisher
from shared.service import start_spans
from shared.tracing.trace_context import Causation, TraceContext
from simulator.archive.model import Study
from tests.support.jobs.retrieves import Retrieves
from tests.support.peers.studies import ct_study, mg_study
from tests.support.servers.otlp_sink import otlp_sink
from tests.support.waiting import wait_until

MARK = "ZZMARK"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def marked(study: Study) -> Study:
    """Return a study whose texts are marked, those that name a patient and those that somebody typed."""
    series = tuple(
        dataclasses.replace(part, description=f"{MARK} series", station_name=f"{MARK}STN")
        for part in study.series
    )
    return dataclasses.replace(
        study,
        patient_name=f"{MARK}^Jane",
        patient_id=f"{MARK}1",
        accession_number=f"{MARK}2",
        study_id=f"{MARK}3",
        description=f"{MARK} study",
        series=series,
    )


@pytest.fixture
def log_text(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that is logged, at the lowest level."""
    text = io.StringIO()
    monkeypatch.setattr(sys, "stderr", text)
    before = structlog.get_config()
    configure("test", "DEBUG")
    structlog.configure(cache_logger_on_first_use=False)
    yield text
    structlog.configure(**before)


def test_one_trace_goes_from_the_query_to_the_store_and_names_no_patient(
    retrieves: Retrieves, scripted_pacs, monkeypatch, log_text
):
    # Given
    studies = [marked(ct_study(with_rdsr=True)), marked(mg_study())]
    messages: list[Message] = []
    retrieves.system.broker.subscribe(["#"], messages.append)
    caller = Causation(TraceContext(TRACE, SPAN), "order-7")
    day = str(studies[0].date)
    order = RunQuery(
        remote="pacs",
        store="doseqr",
        criteria={"types": ["CT", "MG"], "date_from": day, "date_until": day},
        retrieve=True,
    )
    # When
    with otlp_sink() as sink, Lifecycle() as lifecycle:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint)
        start_spans("test", lifecycle)
        retrieves.connect(scripted_pacs(studies))
        retrieves.system.start("query")
        publisher = Publisher(retrieves.system.broker, "test")
        publisher.command(order, command_id="query-1", causation=caller)
        retrieves.system.wait_for_end("query-1")
        retrieves.system.wait_for_end("query-1-r")
        wait_until(lambda: any(message.routing_key == "objects.stored" for message in messages))
        retrieves.stop()
        retrieves.system.stop()
        lifecycle.__exit__(None, None, None)
        # Then
        names = {span.name for span in sink.spans if span.trace_id.hex() == TRACE}
        bodies = b"".join(sink.bodies)
    assert {"command query", "command retrieve", "task query slice", "task retrieve move"} <= names
    assert {"association C-FIND", "association C-MOVE", "batch of objects"} <= names
    (command,) = sink.named("command query")
    assert command.parent_span_id.hex() == SPAN
    assert MARK.encode() not in bodies
    assert not [message.routing_key for message in messages if MARK.encode() in message.body]
    assert TRACE in log_text.getvalue()
    assert MARK not in log_text.getvalue()
    ended = retrieves.system.retrieve_json("query-1-r")
    assert ended["status"] == "completed", ended
    assert ended["counts"]["arrived"] > 0
