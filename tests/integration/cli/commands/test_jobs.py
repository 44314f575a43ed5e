"""Commands that order work of services: exit codes, JSON, and the error when one is away."""

from __future__ import annotations

import csv
import io

import pytest
from sqlalchemy import select

from shared.clock import utc_now
from shared.contract.messages import CancelJob, RunQuery, RunRetrieve
from shared.database.models import Query, ReportSummary, Retrieve, StoredObject
from shared.database.session import Database
from tests.support.jobs.rows import a_query, a_retrieve, a_study, an_expected
from tests.support.services.cli import Doseqr
from tests.support.services.fake_services import FakeServices, Script

QUERY = ("query", "--remote", "pacs", "--store", "doseqr", "--ct")


def test_echo_lists_every_node(doseqr: Doseqr, services: FakeServices) -> None:
    # Given
    doseqr.with_nodes()
    # When
    result = doseqr("echo", "--json")
    # Then
    assert result.code == 0
    assert [list(status) for status in result.json] == [
        ["node", "kind", "ok", "rtt_ms", "outcome", "detail"]
    ] * 3
    assert [(status["node"], status["kind"], status["ok"]) for status in result.json] == [
        ("doseqr", "store", True),
        ("pacs", "remote", True),
        ("archive", "store", True),
    ]


def test_echo_of_a_node_that_is_away_ends_with_3(
    doseqr: Doseqr, services: FakeServices, script: Script
) -> None:
    # Given
    doseqr.with_nodes()
    script.outcomes["pacs"] = "connection refused"
    # When
    result = doseqr("echo", "pacs", "3")
    # Then
    assert result.code == 3
    assert "FAIL  remote  pacs: connection refused" in result.out
    assert "ok    store   archive: answers in 1.5 ms" in result.out


@pytest.mark.parametrize("command", [("echo",), (*QUERY, "--no-wait"), ("retrieve", "query-1")])
def test_without_a_broker_it_ends_with_4(doseqr: Doseqr, command: tuple[str, ...]) -> None:
    # Given
    doseqr.with_nodes()
    _remember(doseqr)
    # When
    result = doseqr(*command)
    # Then
    assert result.code == 4
    assert "The broker is away" in result.err
    assert not result.out


@pytest.mark.parametrize(
    ("command", "service"),
    [
        (("echo", "--json"), "echo"),
        ((*QUERY, "--json"), "query"),
        ((*QUERY, "--retrieve", "--json"), "retrieve"),
        (("retrieve", "query-1", "--json"), "retrieve"),
        (("qr", "-ct", "pacs", "doseqr", "--json"), "echo"),
    ],
)
def test_without_a_worker_the_error_names_what_to_start(
    doseqr: Doseqr, services: FakeServices, command: tuple[str, ...], service: str
) -> None:
    # Given
    doseqr.with_nodes()
    _remember(doseqr)
    services.stop_service(service)
    # When
    result = doseqr(*command)
    # Then
    assert result.code == 4
    assert f"doseqr serve {service}" in result.err
    assert result.json["error"]["code"] == "away"


def test_a_query_prints_the_json_of_the_contract(doseqr: Doseqr, services: FakeServices) -> None:
    # Given
    doseqr.with_nodes()
    # When
    result = doseqr(
        *QUERY, "--from", "2024-05-01", "--exclude", "knee, hip", "--exclude", "foot", "--empty-sr", "--json"
    )
    # Then
    assert result.code == 0
    assert result.json["status"] == "completed"
    assert result.json["studies"][0]["study_instance_uid"] == "1.2.1"
    assert result.json["criteria"]["exclude_descriptions"] == ["knee", "hip", "foot"]
    assert "retrieve" not in result.json
    sent = services.commands[-1]
    assert isinstance(sent, RunQuery)
    assert (sent.remote, sent.store, sent.retrieve) == (2, 1, False)
    assert sent.criteria["empty_sr"]
    assert sent.requested_by


def test_an_estimate_sends_no_request_and_needs_no_service(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    # When
    printed = doseqr(*QUERY, "--from", "2024-01-01", "--until", "2024-03-01", "--estimate")
    read = doseqr(*QUERY, "--from", "2024-01-01", "--until", "2024-03-01", "--estimate", "--json")
    # Then
    assert (printed.code, read.code) == (0, 0)
    first, second = printed.out.splitlines()
    assert first.startswith("It begins with 9 slices. How many studies that brings is unknown: no earlier")
    assert second == "A wide range stresses the remote server and takes long; narrow it if you can."
    assert (read.json["remote"], read.json["slices"], read.json["days"]) == ("pacs", 9, 61)
    assert (read.json["studies"], read.json["requests"], read.json["minutes"]) == (None, None, None)
    with Database(doseqr.settings.database).read() as session:
        assert session.scalars(select(Query)).all() == []


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"status": "completed"}, 0),
        ({"status": "incomplete", "failure": "remote_unreachable"}, 1),
        ({"status": "failed", "failure": "remote_unreachable"}, 3),
        ({"status": "failed", "failure": "association_rejected"}, 3),
        ({"status": "failed", "failure": "no_worker"}, 4),
        ({"status": "failed", "failure": "internal_error"}, 5),
        ({"status": "cancelled"}, 130),
    ],
)
def test_the_end_of_a_query_is_the_exit_code(
    doseqr: Doseqr, services: FakeServices, script: Script, columns: dict[str, str], code: int
) -> None:
    # Given
    doseqr.with_nodes()
    script.query = columns
    # When / Then
    assert doseqr(*QUERY).code == code


def test_a_query_can_be_followed_by_its_retrieve(doseqr: Doseqr, services: FakeServices) -> None:
    # Given
    doseqr.with_nodes()
    # When
    result = doseqr(*QUERY, "--retrieve", "--json")
    # Then
    assert result.code == 0
    assert result.json["retrieve"]["query"] == result.json["id"]
    assert result.json["retrieve"]["id"] == result.json["id"] + "-r"
    assert result.json["retrieve"]["counts"]["arrived"] == 3


def test_a_query_that_keeps_nothing_has_no_retrieve(
    doseqr: Doseqr, services: FakeServices, script: Script
) -> None:
    # Given
    doseqr.with_nodes()
    script.query = {"status": "completed"}
    # When
    result = doseqr(*QUERY, "--retrieve", "--json")
    # Then
    assert (result.code, result.json["retrieve"]) == (0, None)


def test_the_worse_end_of_query_and_retrieve_counts(
    doseqr: Doseqr, services: FakeServices, script: Script
) -> None:
    # Given
    doseqr.with_nodes()
    script.query["status"] = "incomplete"
    script.retrieve = {"status": "failed", "failure": "move_destination_unknown"}
    # When / Then
    assert doseqr(*QUERY, "--retrieve").code == 3


def test_a_remote_node_that_does_not_respond_ends_a_query_immediately(
    doseqr: Doseqr, services: FakeServices, script: Script
) -> None:
    # Given
    doseqr.with_nodes()
    script.outcomes["pacs"] = "timed out"
    # When
    result = doseqr(*QUERY, "--json")
    # Then
    assert result.code == 3
    assert result.json == {
        "error": {"code": "remote_unreachable", "node": "pacs", "outcome": "timed out", "detail": ""}
    }
    assert "timed out" in result.err
    assert not any(isinstance(command, RunQuery) for command in services.commands)


def test_without_an_echo_worker_a_query_warns_and_goes_on(doseqr: Doseqr, services: FakeServices) -> None:
    # Given
    doseqr.with_nodes()
    services.stop_service("echo")
    # When
    result = doseqr(*QUERY)
    # Then
    assert result.code == 0
    assert "not tested first" in result.err


def test_a_rejected_query_names_the_field(doseqr: Doseqr, services: FakeServices, script: Script) -> None:
    # Given
    doseqr.with_nodes()
    services.stop_service("echo")
    script.reject = ("data.criteria.date_from", "is after today")
    # When
    result = doseqr(*QUERY, "--json")
    # Then
    assert result.code == 2
    assert "doseqr: date_from: is after today" in result.err
    assert result.json["error"]["field"] == "date_from"


def test_without_waiting_the_accepted_query_is_printed(doseqr: Doseqr, services: FakeServices) -> None:
    # Given
    doseqr.with_nodes()
    # When
    result = doseqr(*QUERY, "--no-wait", "--json")
    # Then
    assert result.code == 0
    assert result.json["kind"] == "query"


def test_a_query_that_nobody_takes_is_printed_as_queued(
    doseqr: Doseqr, services: FakeServices, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    doseqr.with_nodes()
    script.silent = True
    monkeypatch.setattr("services.cli.client.jobs.ACCEPT_S", 0.1)
    # When
    result = doseqr(*QUERY, "--no-wait", "--json")
    # Then
    assert result.code == 0
    assert result.json["status"] == "queued"
    assert result.json["counts"] == {"found": 0, "examined": 0, "kept": 0, "by_type": {}, "by_reason": {}}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("--from", "2024-02-30"), "date_from"),
        (("--from", "2024-05-02", "--until", "2024-05-01"), "date_from"),
        (("--time-from", "0800"), "time_from"),
        (("--from", "2024-05-01", "--until", "2024-05-01", "--time-until", "2500"), "time_until"),
    ],
)
def test_wrong_criteria_are_refused_before_any_request(
    doseqr: Doseqr, arguments: tuple[str, ...], field: str
) -> None:
    # When
    result = doseqr(*QUERY, *arguments, "--json")
    # Then
    assert result.code == 2
    assert result.json["error"]["field"] == field


def test_no_type_and_unknown_nodes_are_wrong_usage(doseqr: Doseqr) -> None:
    # When
    no_type = doseqr("query", "--remote", "pacs", "--store", "doseqr")
    unknown = doseqr(*QUERY)
    # Then
    assert (no_type.code, unknown.code) == (2, 2)
    assert "types" in no_type.err
    assert "remote: there is no remote node 'pacs'" in unknown.err


def test_a_retrieve_takes_a_part_of_a_query(doseqr: Doseqr, services: FakeServices) -> None:
    # Given
    _remember(doseqr)
    # When
    result = doseqr("retrieve", "quer", "--type", "ct", "--study", "1.2.1", "--json")
    # Then
    assert result.code == 0
    assert result.json["query"] == "query-1"
    assert list(result.json["counts"])[:4] == ["asked", "arrived", "failed", "missing"]
    sent = services.commands[-1]
    assert isinstance(sent, RunRetrieve)
    assert (sent.types, sent.study_instance_uids) == (["CT"], ["1.2.1"])


@pytest.mark.parametrize(
    "arguments", [("nothing",), ("query-1", "--type", "XX"), ("query-1", "--study", "1..2"), ("retr",)]
)
def test_a_malformed_retrieve_is_wrong_usage(
    doseqr: Doseqr, services: FakeServices, arguments: tuple[str, ...]
) -> None:
    # Given
    _remember(doseqr)
    # When / Then
    assert doseqr("retrieve", *arguments).code == 2


def test_a_running_query_can_be_cancelled(doseqr: Doseqr, services: FakeServices) -> None:
    # Given
    _remember(doseqr, status="running")
    # When
    result = doseqr("cancel", "query-1")
    # Then
    assert result.code == 0
    assert result.out == "Query query-1: cancelled\n"
    assert isinstance(services.commands[-1], CancelJob)


def test_cancelling_what_has_ended_changes_nothing(doseqr: Doseqr) -> None:
    # Given
    _remember(doseqr)
    # When
    result = doseqr("cancel", "query-1", "--json")
    # Then
    assert (result.code, result.json["status"]) == (0, "completed")


def test_interrupting_a_wait_reports_that_the_job_goes_on(
    doseqr: Doseqr, services: FakeServices, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    doseqr.with_nodes()
    script.query = {"status": "running"}

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("services.cli.output.progress.PlainReporter.show", interrupt)
    # When
    result = doseqr(*QUERY)
    # Then
    assert result.code == 130
    assert "goes on" in result.err
    assert "doseqr cancel" in result.err


def test_workers_that_vanish_are_reported_and_waited_for(
    doseqr: Doseqr, services: FakeServices, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    doseqr.with_nodes()
    script.query = {"status": "running"}
    monkeypatch.setattr("services.cli.client.follower.CHECK_S", 0.0)
    monkeypatch.setattr("services.cli.client.follower.POLL_S", 0.05)
    printed: list[str] = []

    def notify(_: object, text: str) -> None:
        printed.append(text)
        with services.database.write() as session:
            for query in session.scalars(select(Query)):
                query.status = "completed"

    monkeypatch.setattr("services.cli.output.progress.PlainReporter.notify", notify)
    monkeypatch.setattr(
        "services.cli.output.progress.PlainReporter.show", lambda *_: services.stop_service("query")
    )
    # When
    result = doseqr(*QUERY)
    # Then
    assert result.code == 0
    assert "doseqr serve query" in printed[0]
    assert "Still waiting" in printed[0]


def test_classic_flags_do_query_and_retrieve_after_testing_both_nodes(
    doseqr: Doseqr, services: FakeServices
) -> None:
    # Given
    doseqr.with_nodes()
    # When
    result = doseqr("qr", "-ct", "-sd", "2024-05-01", "-dup", "2", "1", "--json")
    # Then
    assert result.code == 0
    assert list(result.json) == ["query", "retrieve"]
    assert result.json["query"]["criteria"]["ignore_known"] is False
    assert result.json["retrieve"]["status"] == "completed"
    assert [type(command).__name__ for command in services.commands] == [
        "EchoNodes",
        "RunQuery",
        "RunRetrieve",
    ]


@pytest.mark.parametrize("node", ["pacs", "doseqr"])
def test_classic_flags_end_with_3_if_either_node_is_away(
    doseqr: Doseqr, services: FakeServices, script: Script, node: str
) -> None:
    # Given
    doseqr.with_nodes()
    script.outcomes[node] = "host not found"
    # When
    result = doseqr("qr", "-ct", "pacs", "doseqr", "--json")
    # Then
    assert result.code == 3
    assert result.json["error"]["outcome"] == "host not found"


def test_classic_flags_that_keep_nothing_have_no_retrieve(
    doseqr: Doseqr, services: FakeServices, script: Script
) -> None:
    # Given
    doseqr.with_nodes()
    script.query = {"status": "incomplete"}
    # When
    result = doseqr("qr", "-mg", "pacs", "doseqr", "--json")
    # Then
    assert (result.code, result.json["retrieve"]) == (1, None)


def test_jobs_are_listed_shown_and_explained(doseqr: Doseqr) -> None:
    # Given
    _remember(doseqr)
    # When
    listed, shown = doseqr("jobs", "--json"), doseqr("show", "query-1", "--json")
    retrieve, explained = doseqr("show", "retr", "--json"), doseqr("why", "query-1", "1.2.1", "--json")
    results = doseqr("show", "query-1"), doseqr("show", "retrieve-1"), doseqr("why", "query-1", "1.2.1")
    # Then
    assert {job["id"] for job in listed.json} == {"query-1", "retrieve-1"}
    assert shown.json["studies"][0]["reason"] == "rdsr"
    assert retrieve.json["kind"] == "retrieve"
    assert explained.json["sentence"] == "An X-ray radiation dose report (RDSR)."
    assert [result.code for result in results] == [0, 0, 0]
    assert "1.2.1: keep as CT (rdsr). An X-ray radiation dose report (RDSR)." in results[2].out


def test_a_trace_goes_from_the_query_to_its_objects(doseqr: Doseqr) -> None:
    # Given
    _remember(doseqr)
    # When
    traced, text = doseqr("trace", "query-1", "--json"), doseqr("trace", "retrieve-1")
    # Then
    assert [job["id"] for job in traced.json["jobs"]] == ["query-1", "retrieve-1"]
    assert text.code == 0
    assert text.out.startswith("Trace ")
    assert text.out.index("query query-1: completed") < text.out.index("retrieve retrieve-1: ")


def test_an_unknown_job_is_wrong_usage(doseqr: Doseqr) -> None:
    # When / Then
    assert doseqr("show", "nothing").code == 2
    assert doseqr("cancel", "nothing").code == 2
    assert doseqr("why", "nothing", "1.2").code == 2
    assert doseqr("trace", "nothing").code == 2


def _remember(doseqr: Doseqr, **columns: str) -> None:
    assert doseqr("nodes", "list").code == 0
    database = Database(doseqr.settings.database)
    with database.write() as session:
        session.add(a_query(**columns))
        session.flush()
        session.add_all([a_study("1.2.1"), a_retrieve()])
    database.close()


def _with_a_report(doseqr: Doseqr) -> None:
    figures = [{"name": "DLP total", "value": 2.5, "unit": "mGy.cm", "of": ""}]
    received = {"source": "store", "received_at": utc_now(), "last_received_at": utc_now()}
    _remember(doseqr)
    database = Database(doseqr.settings.database)
    with database.write() as session:
        session.add(an_expected("1.2.1", "1.2.2", "1.2.3"))
        session.add(
            StoredObject(
                study_instance_uid="1.2.1",
                series_instance_uid="1.2.2",
                sop_instance_uid="1.2.3",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.88.67",
                **received,
            )
        )
        summary = {"kind": "ct", "events": 1, "figures": figures}
        session.add(ReportSummary(sop_instance_uid="1.2.3", summary=summary, read_at=utc_now()))
    database.close()


@pytest.mark.parametrize("options", [(), ("--format", "csv")])
def test_reports_are_exported_as_csv(doseqr: Doseqr, options: tuple[str, ...]) -> None:
    # Given
    _with_a_report(doseqr)
    # When
    result = doseqr("export", "retrieve-1", *options)
    # Then
    [row] = csv.DictReader(io.StringIO(result.out))
    assert (result.code, row["figure"], row["value"]) == (0, "DLP total", "2.5")


@pytest.mark.parametrize("options", [("--json",), ("--format", "json"), ("--format", "json", "--json")])
def test_reports_are_exported_as_json(doseqr: Doseqr, options: tuple[str, ...]) -> None:
    # Given
    _with_a_report(doseqr)
    # When
    result = doseqr("export", "retrieve-1", *options)
    # Then
    assert result.code == 0
    assert [entry["summary"]["kind"] for entry in result.json] == ["ct"]


@pytest.mark.parametrize("options", [("--format", "csv", "--json"), ("--format", "xml")])
def test_another_format_is_wrong_usage(doseqr: Doseqr, options: tuple[str, ...]) -> None:
    # Given
    _with_a_report(doseqr)
    # When / Then
    assert doseqr("export", "retrieve-1", *options).code == 2


def test_a_retrieve_shows_how_arrival_is_known_and_what_is_not_verified(doseqr: Doseqr) -> None:
    # Given
    _remember(doseqr)
    database = Database(doseqr.settings.database)
    with database.write() as session:
        retrieve = session.get_one(Retrieve, "retrieve-1")
        retrieve.verification, retrieve.detail = "reported", "ARCHIVE got a request for storage commitment."
    database.close()
    # When
    result = doseqr("show", "retrieve-1")
    # Then
    assert "known by the PACS's word only" in result.out
    assert "ARCHIVE got a request for storage commitment." in result.out
