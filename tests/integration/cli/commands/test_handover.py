"""`doseqr handover`: what the importer has not taken, and handing it over again."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contract.messages import RetryHandover
from shared.database.models import HandoverBatch
from shared.database.session import Database
from tests.support.jobs.rows import NOW, a_query, a_retrieve
from tests.support.services.cli import Doseqr
from tests.support.services.fake_services import FakeServices, Script


@pytest.fixture
def given_up(doseqr: Doseqr) -> None:
    """Add a retrieve of which one batch was taken and one given up."""
    doseqr.with_nodes()
    common: dict[str, Any] = {"job_id": "retrieve-1", "created_at": NOW, "last_added_at": NOW, "due_at": NOW}
    database = Database(doseqr.settings.database)
    with database.write() as session:
        session.add(a_query())
        session.flush()
        session.add(a_retrieve())
        session.add(HandoverBatch(id="b1", state="done", objects=5, attempts=1, **common))
        failed = {"reason": "http_status", "detail": "The importer responded with HTTP status 500."}
        session.add(
            HandoverBatch(id="b2", state="failed", objects=2, attempts=7, tried_at=NOW, **failed, **common)
        )
    database.close()


def test_what_was_not_taken_is_listed(doseqr: Doseqr, given_up: None):
    # When
    listed = doseqr("handover", "list", "--json").json
    shown = doseqr("show", "retrieve-1", "--json").json["handover"]
    read = doseqr("show", "retrieve-1").out
    # Then
    assert [(batch["batch"], batch["status"], batch["objects"]) for batch in listed] == [("b2", "failed", 2)]
    assert shown["counts"] == {"taken": 5, "waiting": 0, "failed": 2}
    assert "5 taken, 0 waiting, 2 given up. The importer responded with HTTP status 500." in read


def test_a_retrieve_is_handed_over_anew(doseqr: Doseqr, services: FakeServices, given_up: None):
    # When
    result = doseqr("handover", "retry", "retr", "--json")
    # Then
    assert (result.code, result.json) == (0, {"job": "retrieve-1", "batches": 2})
    sent = services.commands[-1]
    assert isinstance(sent, RetryHandover)
    assert sent.job_id == "retrieve-1"


def test_all_is_handed_over_anew(doseqr: Doseqr, services: FakeServices):
    # When
    result = doseqr("handover", "retry")
    # Then
    assert result.code == 0
    assert "2 batches are handed over anew." in result.out
    sent = services.commands[-1]
    assert isinstance(sent, RetryHandover)
    assert sent.job_id is None


def test_what_the_store_refuses_is_reported(doseqr: Doseqr, services: FakeServices, script: Script):
    # Given
    script.reject = ("", "no importer is set")
    # When
    result = doseqr("handover", "retry")
    # Then
    assert result.code == 2
    assert "no importer is set" in result.err


def test_a_retrieve_that_nobody_knows_is_wrong_usage(doseqr: Doseqr, services: FakeServices):
    assert doseqr("handover", "retry", "unknown").code == 2


def test_without_a_store_service_the_error_names_what_to_start(doseqr: Doseqr, services: FakeServices):
    # Given
    services.stop_service("store")
    # When
    result = doseqr("handover", "retry")
    # Then
    assert result.code == 4
    assert "doseqr serve store" in result.err
