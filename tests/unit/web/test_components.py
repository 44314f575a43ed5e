"""Health, streams, the session key, staffing."""

from __future__ import annotations

import stat
from itertools import islice

import pytest

from services.web.live.event_stream import Live, Stream, stream_body
from services.web.live.service_status import ServiceStatus
from shared.broker.memory.broker import MemoryBroker
from shared.configuration.session_key import session_key
from shared.errors import PermanentError
from tests.support.waiting import wait_until


def test_health_needs_no_log_in(site):
    # Given
    person = site.person()
    # When
    live, ready = person.get("/health/live"), person.get("/health/ready")
    # Then
    assert live.json == {"live": True}
    assert ready.json == {"ready": True, "troubles": {}}


def test_without_the_broker_the_page_is_alive_and_not_ready(site):
    # Given
    site.broker.close()
    # When
    live, ready = site.person().get("/health/live"), site.person().get("/health/ready")
    # Then
    assert live.status_code == 200
    assert ready.status_code == 503
    assert ready.json == {"ready": False, "troubles": {"broker": "away"}}


def test_a_slow_reader_gets_each_change_once():
    # Given
    stream = Stream({"a", "b"})
    # When
    for _ in range(1000):
        stream.notify("b")
        stream.notify("a")
    # Then
    assert stream.wait(0.0) == ["a", "b"]
    assert stream.wait(0.0) == []


def test_a_stream_ends_by_itself():
    assert list(stream_body(Stream({"a"}), stream_s=0.0)) == ["retry: 1000\n\n"]


def test_a_stream_of_server_sent_events_names_what_changed():
    # Given
    stream = Stream({"a"})
    stream.notify("a")
    # When
    shown = list(islice(stream_body(stream), 2))
    # Then
    assert shown == ["retry: 1000\n\n", "event: changed\ndata: a\n\n"]


def test_a_closed_stream_ends():
    # Given
    stream = Stream({"a"})
    stream.close()
    # Then
    assert list(stream_body(stream)) == ["retry: 1000\n\n"]


def test_no_more_streams_are_opened_than_there_may_be():
    # Given
    live = Live(MemoryBroker(), max_streams=1)
    first = live.open({"a"})
    assert first is not None
    # When
    second = live.open({"a"})
    live.end(first)
    # Then
    assert second is None
    assert live.open({"a"}) is not None


def test_live_updates_begin_when_the_broker_comes_back(site):
    # Given
    class Late(MemoryBroker):
        refusals = 2

        def declare(self) -> None:
            if self.refusals:
                self.refusals -= 1
                from shared.errors import BrokerAwayError

                raise BrokerAwayError("away")
            super().declare()

    live = Live(Late(), max_streams=1)
    # When
    live.start()
    # Then
    wait_until(lambda: live._subscription is not None)
    live.close()


@pytest.mark.parametrize("query", ["", "?follow=a.b", "?follow=" + "&follow=a" * 17])
def test_a_stream_follows_a_bounded_number_of_ids(site, query):
    assert site.person("viewer").get("/live" + query).status_code == 400


def test_a_stream_over_http_is_forgotten_when_its_reader_goes(site):
    # Given
    response = site.person("viewer").get("/live?follow=q1")
    assert response.mimetype == "text/event-stream"
    assert site.components.live.open_streams == 1
    # When
    response.close()
    # Then
    assert site.components.live.open_streams == 0


def test_the_session_key_stays_and_is_for_its_owner_alone(tmp_path):
    # When
    first, second = session_key(tmp_path), session_key(tmp_path)
    # Then
    assert first == second
    assert stat.S_IMODE((tmp_path / "web-secret").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["web-secret"]


def test_a_broken_session_key_is_refused(tmp_path):
    # Given
    (tmp_path / "web-secret").write_text("short")
    # Then
    with pytest.raises(PermanentError, match="remove it"):
        session_key(tmp_path)


def test_a_service_is_staffed_when_all_of_its_queues_are():
    # Given
    broker = MemoryBroker()
    broker.declare()
    broker.consume("query", lambda delivery: delivery.ack(), workers=1)
    service_status = ServiceStatus(broker, max_age_s=0.0)
    # When
    without_tasks = service_status.complaints("query")
    for queue in ("query-tasks", "query-profile"):
        broker.consume(queue, lambda delivery: delivery.ack(), workers=1)
    # Then
    assert [complaint.command for complaint in without_tasks] == ["doseqr serve query"]
    assert service_status.complaints("query") == []
    broker.close()
