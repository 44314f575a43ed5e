"""The stream of a job sends each change and the end, and holds nothing afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from services.web.api import event_streams
from services.web.api.event_streams import StreamSlots, job_events
from services.web.live.event_stream import Stream
from shared.contract.messages import ENDED, Progress
from shared.database.models import Query
from shared.errors import DatabaseAwayError
from tests.support.jobs.rows import a_query
from tests.support.services.web_api import problem


def ended(summary):
    return summary["status"] in ENDED


def events(chunks: Iterable[str]) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for chunk in chunks:
        if chunk.startswith("event: "):
            name, data = chunk.strip().split("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_each_change_is_sent_once_and_then_the_end(monkeypatch):
    # Given
    monkeypatch.setattr(event_streams, "REREAD_S", 0.01)
    states = iter(["queued", "running", "running", "running", "completed"])
    # When
    sent = events(job_events(Stream(["q1"]), lambda: {"status": next(states)}, ended))
    # Then
    assert [(name, data["status"]) for name, data in sent] == [
        ("job", "queued"),
        ("job", "running"),
        ("job", "completed"),
        ("ended", "completed"),
    ]


def test_a_stream_outlives_a_database_that_is_away(monkeypatch):
    # Given
    monkeypatch.setattr(event_streams, "REREAD_S", 0.01)
    results = iter([DatabaseAwayError("away"), {"status": "completed"}])

    def read():
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    # Then
    assert [name for name, _ in events(job_events(Stream(["q1"]), read, ended))] == ["job", "ended"]


def test_a_stream_ends_after_its_time_or_with_the_server(monkeypatch):
    # Given
    monkeypatch.setattr(event_streams, "REREAD_S", 0.01)
    closed = Stream(["q1"])
    closed.close()
    # Then
    running = {"status": "running"}
    assert len(events(job_events(Stream(["q1"]), lambda: running, ended, stream_s=0.05))) == 1
    assert len(events(job_events(closed, lambda: running, ended))) == 1
    assert events(job_events(Stream(["q1"]), lambda: None, ended)) == []


def test_comments_keep_a_quiet_stream_open(monkeypatch):
    # Given
    monkeypatch.setattr(event_streams, "REREAD_S", 0.01)
    monkeypatch.setattr(event_streams, "HEARTBEAT_S", 0.02)
    # When
    chunks = list(job_events(Stream(["q1"]), lambda: {"status": "running"}, ended, stream_s=0.1))
    # Then
    assert ": still here\n\n" in chunks


def test_an_event_of_the_broker_is_sent_immediately(api):
    # Given
    api.site.add(a_query("q1", status="running"))
    response = api.send("GET", "/jobs/q1/events")
    chunks = iter(response.response)
    next(chunks)
    # When
    with api.site.database.write() as session:
        session.get(Query, "q1").status = "completed"
    progress = Progress(job_id="q1", kind="query", status="completed", counts={})
    api.site.publisher.event(progress, "query", "q1")
    sent = events(chunk if isinstance(chunk, str) else chunk.decode() for chunk in chunks)
    # Then
    assert response.mimetype == "text/event-stream"
    assert [(name, data["status"]) for name, data in sent][-1] == ("ended", "completed")
    assert sent[-1][1]["id"] == "q1"
    response.close()
    assert api.site.components.live.open_streams == 0


def test_the_end_of_a_job_is_sent_and_the_stream_ends(api):
    # Given
    api.site.add(a_query("q1"))
    # When
    response = api.send("GET", "/jobs/q1/events", scope="read")
    # Then
    assert [line for line in response.text.splitlines() if line.startswith("event")] == [
        "event: job",
        "event: ended",
    ]


def test_a_head_request_opens_no_stream(api):
    # Given
    api.site.add(a_query("q1", status="running"))
    # When
    response = api.send("HEAD", "/jobs/q1/events")
    # Then
    assert (response.status_code, response.mimetype) == (200, "text/event-stream")
    assert api.site.components.live.open_streams == 0


@pytest.mark.parametrize("where", ["api", "live"])
def test_more_streams_than_there_may_be_are_refused(api, where, monkeypatch):
    # Given
    api.site.add(a_query("q1", status="running"))
    slots = StreamSlots(0 if where == "api" else 1)
    monkeypatch.setitem(api.site.app.extensions, event_streams.KEY, slots)
    if where == "live":
        monkeypatch.setattr(api.site.components.live, "_max_streams", 0)
    # When
    response = api.send("GET", "/jobs/q1/events")
    # Then
    problem(response, 503)
    if where == "live":
        assert slots.take()
