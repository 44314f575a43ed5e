"""`doseqr again` and `--background`: what is ordered, what is waited for, and the exit codes."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contract.messages import AskAgain, RunQuery, RunRetrieve
from shared.database.session import Database
from tests.support.jobs.rows import a_query, a_retrieve, a_study
from tests.support.services.cli import Doseqr
from tests.support.services.fake_services import FakeServices, Script


@pytest.fixture
def remember(doseqr: Doseqr) -> Any:
    """Add an incomplete query and a failed retrieve of it."""

    def add(**columns: Any) -> None:
        doseqr.with_nodes()
        database = Database(doseqr.settings.database)
        with database.write() as session:
            session.add(a_query(**({"status": "incomplete"} | columns)))
            session.flush()
            session.add_all([a_study("1.2.1"), a_retrieve(status="failed")])
        database.close()

    return add


@pytest.mark.parametrize(
    ("status", "failure", "code"),
    [
        ("completed", "", 0),
        ("incomplete", "", 1),
        ("failed", "remote_unreachable", 3),
        ("cancelled", "", 130),
    ],
)
def test_a_query_is_run_again_and_waited_for(
    doseqr: Doseqr,
    services: FakeServices,
    script: Script,
    remember: Any,
    status: str,
    failure: str,
    code: int,
) -> None:
    # Given
    remember()
    script.query = {"status": status, "failure": failure}
    # When
    result = doseqr("again", "query-1", "--json")
    # Then
    assert (result.code, result.json["status"], result.json["round"]) == (code, status, 1)
    sent = services.commands[-1]
    assert isinstance(sent, AskAgain)
    assert sent.job_id == "query-1"
    assert sent.requested_by


def test_the_beginning_of_an_id_is_enough_and_the_end_is_described(
    doseqr: Doseqr, services: FakeServices, remember: Any
) -> None:
    # Given
    remember()
    # When
    result = doseqr("again", "query")
    # Then
    assert result.code == 0
    assert result.out.startswith("Query query-1: completed")


def test_the_retrieve_that_follows_is_waited_for(
    doseqr: Doseqr, services: FakeServices, script: Script, remember: Any
) -> None:
    # Given
    remember(retrieve_after=True)
    script.retrieve = {"status": "incomplete", "asked": 3, "arrived": 2}
    # When
    result = doseqr("again", "query-1", "--json")
    # Then
    assert (result.code, result.json["status"]) == (1, "completed")
    assert (result.json["retrieve"]["id"], result.json["retrieve"]["status"]) == ("query-1-r1", "incomplete")


def test_a_retrieve_is_run_again_as_another_one(
    doseqr: Doseqr, services: FakeServices, remember: Any
) -> None:
    # Given
    remember()
    # When
    result = doseqr("again", "retrieve-1", "--json")
    # Then
    assert (result.code, result.json["kind"], result.json["status"]) == (0, "retrieve", "completed")
    assert result.json["id"] != "retrieve-1"


def test_nobody_waits_with_no_wait(
    doseqr: Doseqr, services: FakeServices, script: Script, remember: Any
) -> None:
    # Given
    remember()
    script.query = {"status": "running"}
    # When
    query = doseqr("again", "query-1", "--no-wait", "--json")
    retrieve = doseqr("again", "retrieve-1", "--no-wait")
    # Then
    assert (query.code, query.json["status"]) == (0, "running")
    assert retrieve.code == 0


def test_what_is_refused_is_reported_and_ends_with_2(
    doseqr: Doseqr, services: FakeServices, script: Script, remember: Any
) -> None:
    # Given
    remember(status="completed")
    script.reject = ("data.job_id", "nothing is missing: it is completed")
    # When
    result = doseqr("again", "query-1")
    # Then
    assert result.code == 2
    assert "nothing is missing" in result.err


def test_without_a_worker_it_ends_with_4(doseqr: Doseqr, services: FakeServices, remember: Any) -> None:
    # Given
    remember()
    services.stop_service("query")
    # When / Then
    assert doseqr("again", "query-1").code == 4
    assert doseqr("again", "nothing").code == 2


@pytest.mark.parametrize(
    "command",
    [
        ("query", "--remote", "pacs", "--store", "doseqr", "--ct"),
        ("qr", "-ct", "pacs", "doseqr"),
        ("retrieve", "query-1"),
    ],
)
@pytest.mark.parametrize("background", [True, False])
def test_a_job_for_which_nobody_waits_is_shown_as_such(
    doseqr: Doseqr, services: FakeServices, remember: Any, command: tuple[str, ...], *, background: bool
) -> None:
    # Given
    remember()
    flags = ("--background",) if background else ()
    # When
    result = doseqr(command[0], *flags, *command[1:])
    # Then
    assert result.code == 0
    ordered = [command for command in services.commands if isinstance(command, RunQuery | RunRetrieve)]
    assert ordered[0].priority == ("background" if background else "interactive")
