"""A PACS that fails, or holds nothing, whatever is requested: given up gently, and in the right words."""

from __future__ import annotations

import datetime as dt

import pytest

from services.query.search import wider_windows
from shared.contract.messages import AskAgain, CancelJob
from shared.dicom.upper_layer.dimse_command import C_FIND_RSP, COMMAND_FIELD, encode_command
from shared.dicom.upper_layer.pdu import p_data
from shared.nodes.nodes import find_node
from simulator.behaviour import Fault
from tests.integration.query.test_query import ready
from tests.support.peers.byte_pacs import respond_with
from tests.support.peers.studies import ct_study, days_of
from tests.support.waiting import wait_until

DAY = dt.date(2024, 3, 5)
ALL_DATES = {"types": ["CT", "MG"]}
MANY_YEARS = {"types": ["CT", "MG", "FL"], "date_from": "2010-01-01", "date_until": "2024-03-05"}

#: C-FINDs that a PACS that fails whatever the window gets at most, and one that holds nothing.
MOST_FAILURES, MOST_EMPTY = 20, 60

FAILURES: dict[str, dict[str, object]] = {
    "0xC001": {"kind": "status", "status": 0xC001},
    "0xA900": {"kind": "status", "status": 0xA900},
    "0x0122": {"kind": "status", "status": 0x0122},
    "0xA700": {"kind": "status", "status": 0xA700},
    "abort": {"kind": "abort"},
    "close": {"kind": "close"},
}


@pytest.mark.parametrize("criteria", [ALL_DATES, MANY_YEARS], ids=["all dates", "many years"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_pacs_that_fails_whatever_the_window_is_given_up(system, scripted_pacs, criteria, failure):
    # Given
    fault = Fault.model_validate({"operation": "find", "level": "STUDY", "always": True, **FAILURES[failure]})
    pacs = scripted_pacs([ct_study(date=DAY)], faults=[fault])
    ready(system, pacs)
    # When
    query = system.finished_query(criteria)
    # Then
    requests = [request for request in pacs.witness.requests if request.level == "STUDY"]
    assert query["status"] == "failed"
    assert len(requests) <= MOST_FAILURES
    if failure.startswith("0x"):
        assert failure in query["detail"]


@pytest.mark.parametrize("failure", ["0xC001", "0xA900", "abort"])
def test_studies_named_by_requests_that_fail_are_kept(system, scripted_pacs, failure):
    # Given
    fields = {"operation": "find", "level": "STUDY", "always": True, "after_responses": 3}
    fault = Fault.model_validate(fields | FAILURES[failure])
    pacs = scripted_pacs([ct_study(date=DAY) for _ in range(3)], faults=[fault])
    ready(system, pacs)
    # When
    query = system.finished_query({"types": ["CT"], "date_from": str(DAY), "date_until": str(DAY)})
    # Then
    requests = [request for request in pacs.witness.requests if request.level == "STUDY"]
    assert (query["status"], query["counts"]["kept"]) == ("incomplete", 3)
    assert {entry["kind"] for entry in query["missing"]} == {"slice"}
    assert query["slices"]["complete"] + query["slices"]["failed"] == query["slices"]["total"]
    assert len(requests) <= MOST_FAILURES


def test_words_of_a_pacs_that_breaks_the_protocol_name_what_came(system, strange_pacs):
    # Given
    without_status = encode_command({COMMAND_FIELD: C_FIND_RSP}, has_data_set=False)
    pdu = p_data(1, without_status, is_command=True, maximum_length=0)
    pacs = strange_pacs(respond_with(pdu))
    system.add_remote("pacs", pacs.peer.host, pacs.port, pacs.peer.ae_title)
    system.add_own_store()
    system.start("query")
    # When
    query = system.finished_query({"types": ["CT"], "date_from": str(DAY), "date_until": str(DAY)})
    # Then
    assert query["status"] == "failed"
    assert "a response without Status (0000,0900)" in query["detail"]


def test_a_pacs_that_fails_for_a_moment_is_searched_to_the_end(system, scripted_pacs):
    # Given
    studies = days_of(40, dt.date(2024, 1, 1), DAY, ct_study)
    pacs = scripted_pacs(studies, faults=[Fault(operation="find", level="STUDY", kind="abort", times=6)])
    ready(system, pacs)
    # When
    query = system.finished_query({"types": ["CT"], "date_from": "2024-01-01", "date_until": str(DAY)})
    # Then
    assert (query["status"], query["counts"]["found"]) == ("completed", 40)


def test_a_pacs_that_takes_only_small_windows_is_not_given_up(system, scripted_pacs):
    # Given
    studies = [ct_study(date=DAY, time=dt.time(number // 60, number % 60)) for number in range(0, 1200, 20)]
    pacs = scripted_pacs(studies, cap=4, cap_levels=["STUDY"], cap_effect="refuse_at_once")
    ready(system, pacs)
    # When
    query = system.finished_query({"types": ["CT"], "date_from": str(DAY), "date_until": str(DAY)})
    # Then
    assert (query["status"], query["counts"]["found"]) == ("completed", len(studies))


@pytest.mark.parametrize(
    ("criteria", "services", "associations"),
    [(ALL_DATES, 1, 4), (MANY_YEARS, 1, 4), (ALL_DATES, 3, 32)],
    ids=["all dates", "many years", "three services with many associations"],
)
def test_an_empty_pacs_is_reported_over_many_years_and_not_believed(
    system, scripted_pacs, criteria, services, associations
):
    # Given
    pacs = scripted_pacs([])
    ready(system, pacs, *["query"] * services)
    with system.database.write() as session:
        find_node(session, "pacs").max_associations = associations
    # When
    query = system.finished_query(criteria)
    # Then
    assert query["status"] == "incomplete"
    assert len(pacs.witness.requests) <= MOST_EMPTY
    assert query["failure"] == "nothing_found"
    assert "rests on its word alone" in query["detail"]
    assert query["missing"]


def test_an_empty_pacs_is_searched_window_by_window_when_run_again(system, scripted_pacs):
    # Given
    pacs = scripted_pacs([])
    ready(system, pacs)
    query = system.finished_query(ALL_DATES)
    assert query["failure"] == "nothing_found"
    # When
    system.command(AskAgain(job_id=query["id"], requested_by="physicist"))
    # Then
    wait_until(lambda: len(pacs.witness.requests) > 2 * MOST_EMPTY, 60.0)
    assert system.status(query["id"]) == "running"
    system.command(CancelJob(job_id=query["id"]))


def test_an_empty_pacs_is_believed_for_a_month(system, scripted_pacs):
    # Given
    pacs = scripted_pacs([])
    ready(system, pacs)
    # When
    query = system.finished_query({"types": ["CT"], "date_from": "2024-02-05", "date_until": str(DAY)})
    # Then
    assert query["status"] == "completed"


def test_a_few_matches_of_a_slow_pacs_are_believed_without_further_requests(
    system, scripted_pacs, monkeypatch
):
    # Given: a window of nine matches takes longer than the proof of their number is worth
    monkeypatch.setattr(wider_windows, "SLOW_MS", 200)
    studies = [ct_study(date=DAY, time=dt.time(8, number)) for number in range(9)]
    pacs = scripted_pacs(studies, answer_delay_s=0.05)
    ready(system, pacs)
    # When
    query = system.finished_query({"types": ["CT"], "date_from": str(DAY), "date_until": str(DAY)})
    # Then: the window, and those that show whether the node matches on codes
    requests = [request for request in pacs.witness.requests if request.level == "STUDY"]
    assert (query["status"], query["counts"]["found"]) == ("completed", 9)
    assert len(requests) <= 4
