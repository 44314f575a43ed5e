"""What commands say of jobs, and small parsers of theirs."""

from __future__ import annotations

import pytest

from services.cli.client.session import service_of
from services.cli.commands.simulate import destination_of
from services.cli.local.processes import with_environment
from services.cli.output.exit_codes import CommandError
from services.cli.output.progress import progress_text
from services.cli.output.summaries import print_why
from shared.contract.envelope import new_id, retrieve_id_after, valid_id
from shared.reading.why import Explanation, FindJson
from tests.support.jobs.rows import a_query, a_retrieve


def test_a_job_is_described_in_one_line() -> None:
    # Given
    query = a_query(
        status="running",
        studies_found=7,
        studies_examined=5,
        studies_kept=2,
        slices_total=9,
        slices_complete=3,
        slices_failed=1,
        note="pacs is busy",
    )
    retrieve = a_retrieve(status="running", asked=4, arrived=1, note="")
    # When / Then
    assert progress_text(query) == (
        "query query-1: running; slices 4 of 9, studies 7 found, 5 examined, 2 kept (pacs is busy)"
    )
    assert progress_text(retrieve) == "retrieve retrieve-1: running; objects 4 requested, 1 arrived"


@pytest.mark.parametrize("query_id", [new_id(), "q" * 64, "q"], ids=["ours", "longest", "shortest"])
def test_the_retrieve_after_a_query_has_a_valid_id(query_id: str) -> None:
    # When
    retrieve_id = retrieve_id_after(query_id)
    # Then
    assert valid_id(retrieve_id)
    assert retrieve_id != query_id
    assert retrieve_id.endswith("-r")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DOSEQR=127.0.0.1:11112", ("DOSEQR", ("127.0.0.1", 11112))),
        ("A B=[::1]:104", ("A B", ("::1", 104))),
    ],
)
def test_a_destination_is_title_host_and_port(text: str, expected: tuple[str, tuple[str, int]]) -> None:
    # When / Then
    assert destination_of(text) == expected


@pytest.mark.parametrize("text", ["", "DOSEQR", "=h:1", "DOSEQR=h", "DOSEQR=:104", "DOSEQR=h:0"])
def test_a_malformed_destination_is_wrong_usage(text: str) -> None:
    # When / Then
    with pytest.raises(CommandError) as refused:
        destination_of(text)
    assert refused.value.exit_code == 2


def test_queues_belong_to_services() -> None:
    # When / Then
    assert [service_of(queue) for queue in ("echo", "query-tasks", "retrieve-tasks")] == [
        "echo",
        "query",
        "retrieve",
    ]


def test_variables_are_added_before_a_command() -> None:
    # When / Then
    assert with_environment(["x"], {"A": "1"}) == ["env", "A=1", "x"]
    assert with_environment(["x"], {}) == ["x"]


@pytest.mark.parametrize(
    ("status_code", "error", "expected"),
    [
        (0x0000, "", "0x0000"),
        (0xA700, "status_a700", "0xA700, status_a700"),
        (0xC000, "http_500", "http_500"),
        (None, "http_503", "http_503"),
        (None, "timed_out", "no final response, timed_out"),
    ],
)
def test_a_find_is_shown_with_its_own_status(
    status_code: int | None, error: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given
    find: FindJson = {
        "level": "STUDY",
        "status_code": status_code,
        "matches": 0,
        "duration_ms": 3,
        "error": error,
        "asked_at": "2024-05-01T10:00:00Z",
        "keys": {},
    }
    # When
    print_why(_not_returned([find]))
    # Then
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"  C-FIND STUDY: 0 answers, {expected} at 2024-05-01T10:00:00Z"


def test_a_study_that_was_not_returned_is_shown_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    # When
    print_why(_not_returned([]))
    # Then
    expected = "Study 1.2: not_returned (not_returned). The PACS did not return this study.\n"
    assert capsys.readouterr().out == expected


def _not_returned(finds: list[FindJson]) -> Explanation:
    return {
        "job": "query-1",
        "query": "query-1",
        "study_instance_uid": "1.2",
        "state": "not_returned",
        "type": None,
        "decision": None,
        "reason": "not_returned",
        "note": "",
        "sentence": "The PACS did not return this study.",
        "answered": None,
        "series": [],
        "finds": finds,
        "arrivals": [],
    }
