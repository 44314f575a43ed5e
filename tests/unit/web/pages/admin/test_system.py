"""How the system stands on the page, and what becomes of dead letters."""

from __future__ import annotations

import re

from shared.contract.events import WorkerHeartbeat
from tests.contract.test_broker_contract import bury
from tests.support.servers.rabbitmq import Inbox, a_message
from tests.support.waiting import wait_until

BODY = b'{"id": "m1", "type": "doseqr.command.echo.v1", "data": {"nodes": ["gone"]}}'


def buried(site) -> str:
    """Dead-letter a message, and return its id."""
    bury(site.broker, a_message("m1", body=BODY))
    return str(site.broker.dead_letters(1)[0].id)


def test_queues_workers_and_versions_are_shown(site):
    # Given
    site.listen("query")
    site.publisher.event(WorkerHeartbeat(service="query", worker="query@host-1"), "worker", "query")
    wait_until(lambda: bool(site.components.live.event_results.workers()))
    # When
    page = " ".join(re.sub("<[^>]+>", " ", site.person("admin").text("/system")).split())
    # Then
    assert "query 0 1" in page
    assert "query query@host-1 0 s ago" in page
    assert "pynetdicom" in page


def test_a_dead_letter_is_explained_and_replayed(site):
    # Given
    admin, letter = site.person("admin"), buried(site)
    # When
    listed, explained = admin.text("/system"), admin.text(f"/system/dead-letters/{letter}")
    inbox = Inbox()
    site.broker.consume("echo", inbox, workers=1)
    replayed = admin.post(f"/system/dead-letters/{letter}/replay", follow_redirects=True)
    # Then
    assert f"/system/dead-letters/{letter}/replay" in listed
    assert "gone" in explained
    assert "Mend the cause" in explained
    assert "is published again" in replayed.text
    wait_until(lambda: bool(inbox.deliveries))
    assert admin.get(f"/system/dead-letters/{letter}").status_code == 404


def test_a_dead_letter_is_dropped_once(site):
    # Given
    admin, letter = site.person("admin"), buried(site)
    # When
    dropped = admin.post(f"/system/dead-letters/{letter}/drop", follow_redirects=True)
    again = admin.post(f"/system/dead-letters/{letter}/drop", follow_redirects=True)
    # Then
    assert "is dropped" in dropped.text
    assert "There is no such dead letter" in again.text
    assert "dead letter dropped" in admin.text("/audit")


def test_without_a_broker_the_page_shows_the_rest(site):
    # Given
    admin = site.person("admin")
    site.broker.close()
    # When
    page = admin.text("/system")
    # Then
    assert "nothing is known of its queues" in page
    assert "Free on disk" in page
