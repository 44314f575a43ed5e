"""Associations that are rejected, ended or never answered, time-outs at each stage, and pairs of faults."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from simulator.behaviour import Fault
from tests.support.jobs.ward import WARD, Desk, check_against_truth, is_wanted, uid_of

#: pydicom warns of values in an answer that it cannot read.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


@pytest.fixture(scope="module")
def hasty(make_desk: Callable[..., Desk]) -> Desk:
    """Ask with short time-outs and little patience."""
    return make_desk(dimse_timeout=0.7, connect_timeout=0.7, patience=0.5)


def of_association(**fields: Any) -> Fault:
    return Fault(operation="associate", **fields)


# Associations

PASSING = {
    "congestion": of_association(kind="reject", rejection="temporary_congestion", times=2),
    "local limit": of_association(kind="reject", rejection="local_limit_exceeded", times=2),
    "no reason given": of_association(kind="reject", rejection="no_reason_given"),
    "aborted": of_association(kind="abort"),
    "closed": of_association(kind="close"),
    "delayed": of_association(kind="delay", delay_s=0.3),
    "every second rejected": of_association(kind="reject", nth=2, every=2, times=3),
}

LASTING = {
    "congestion": ("temporary_congestion", "node_busy"),
    "local limit": ("local_limit_exceeded", "node_busy"),
    "no reason given": ("no_reason_given", "association_rejected"),
    "calling title": ("calling_ae_title_not_recognized", "association_rejected"),
    "called title": ("called_ae_title_not_recognized", "association_rejected"),
    "application context": ("application_context_name_not_supported", "association_rejected"),
    "protocol version": ("protocol_version_not_supported", "association_rejected"),
}


@pytest.mark.parametrize("name", PASSING)
def test_an_association_that_comes_about_later_leaves_no_trace(desk, name):
    # When
    query = desk.ask({}, [PASSING[name]])
    # Then
    assert query["status"] == "completed"
    assert check_against_truth(query, WARD, desk.right()) == set()
    assert desk.pacs[-1].faults_struck >= 1


@pytest.mark.parametrize("name", LASTING)
def test_an_association_that_is_always_rejected_fails_the_query_with_the_reason(hasty, name):
    # Given
    rejection, failure = LASTING[name]
    # When
    query = hasty.ask({"reject_associations": rejection})
    # Then
    assert (query["status"], query["failure"]) == ("failed", failure)
    check_against_truth(query, WARD)


@pytest.mark.parametrize(
    ("kind", "failure"),
    [("abort", "aborted"), ("close", "aborted"), ("never_answer", "remote_unreachable")],
)
def test_an_association_that_never_stands_fails_the_query(hasty, kind, failure):
    # When
    query = hasty.ask({}, [of_association(kind=kind, always=True)])
    # Then
    assert (query["status"], query["failure"]) == ("failed", failure)
    check_against_truth(query, WARD)


def test_a_pacs_without_c_find_fails_the_query(hasty):
    # When
    query = hasty.ask({"services": ["echo", "move"]})
    # Then
    assert (query["status"], query["failure"]) == ("failed", "context_not_accepted")


@pytest.mark.parametrize("rejection", ["local_limit_exceeded", "temporary_congestion"])
def test_a_pacs_that_is_full_after_some_associations_ends_incomplete_with_the_rest(hasty, rejection):
    # Given: an association ends after each request, and later ones are rejected for good
    faults = [
        of_association(kind="reject", rejection=rejection, nth=3, always=True),
        Fault(operation="find", kind="abort", nth=4, every=2, always=True),
    ]
    # When
    query = hasty.ask({}, faults)
    # Then
    assert query["status"] in {"incomplete", "failed"}
    check_against_truth(query, WARD)


# Time-outs


@pytest.mark.parametrize("place", [0, 2, 10_000], ids=["first", "middle", "end"])
@pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE"])
def test_silence_that_passes_leaves_no_trace(hasty, level, place):
    # When
    query = hasty.ask({}, [Fault(operation="find", level=level, kind="never_answer", after_responses=place)])
    # Then
    assert query["status"] == "completed"
    assert check_against_truth(query, WARD, hasty.right()) == set()


def test_an_association_request_that_is_not_answered_once_leaves_no_trace(hasty):
    # When
    query = hasty.ask({}, [of_association(kind="never_answer")])
    # Then
    assert query["status"] == "completed"
    assert check_against_truth(query, WARD, hasty.right()) == set()


@pytest.mark.parametrize("level", ["SERIES", "IMAGE"])
def test_a_study_about_which_nothing_comes_is_missing_alone(hasty, level):
    # Given
    ill = uid_of("ct_esr")
    # When
    query = hasty.ask(
        {}, [Fault(operation="find", level=level, kind="never_answer", answer=ill, always=True)]
    )
    # Then
    assert query["status"] == "incomplete"
    assert check_against_truth(query, WARD, hasty.right()) == {ill}


def test_a_pacs_that_never_answers_a_question_fails_the_query_after_few(hasty):
    # Given
    criteria = {"types": ["MG"], "date_from": "2024-03-04", "date_until": "2024-03-06"}
    # When
    query = hasty.ask({}, [Fault(operation="find", kind="never_answer", always=True)], criteria=criteria)
    # Then
    assert (query["status"], query["failure"]) == ("failed", "timed_out")
    assert query["finds"] <= 12


def test_answers_that_come_slowly_are_waited_for(hasty):
    # Given: longer than the time-out altogether, never between two answers
    criteria = {"types": ["CT"], "date_from": "2024-03-04", "date_until": "2024-03-06"}
    # When
    query = hasty.ask({"answer_delay_s": 0.15}, criteria=criteria)
    # Then
    assert query["status"] == "completed"
    assert check_against_truth(query, WARD, criteria=criteria) == set()


# Faults in pairs

SINGLE: dict[str, Fault] = {
    "abort at study level": Fault(operation="find", level="STUDY", kind="abort", after_responses=1),
    "0xA700 at study level": Fault(operation="find", level="STUDY", kind="status", status=0xA700, nth=2),
    "broken study answer": Fault(operation="find", level="STUDY", kind="bad_data_set", nth=3),
    "close at series level": Fault(operation="find", level="SERIES", kind="close", after_responses=2),
    "0xC001 at series level": Fault(
        operation="find", level="SERIES", kind="status", status=0xC001, after_responses=10_000
    ),
    "lost series answer": Fault(operation="find", level="SERIES", kind="drop_answer", after_responses=3),
    "garbage at image level": Fault(operation="find", level="IMAGE", kind="garbage"),
    "image answer without UID": Fault(operation="find", level="IMAGE", kind="missing_uid", nth=2),
    "rejected": of_association(kind="reject", nth=2, times=2),
}


@pytest.mark.parametrize("pair", list(itertools.combinations(SINGLE, 2)), ids="; ".join)
def test_two_faults_that_pass_leave_no_trace(desk, pair):
    # When
    query = desk.ask({}, [SINGLE[name] for name in pair])
    # Then
    assert query["status"] == "completed"
    assert check_against_truth(query, WARD, desk.right()) == set()


@pytest.mark.parametrize("name", SINGLE)
def test_a_study_that_is_ill_is_missing_alone_whatever_else_passes(desk, name):
    # Given
    ill = uid_of("mg_rdsr")
    lasting = Fault(operation="find", level="SERIES", kind="status", status=0xC002, answer=ill, always=True)
    # When
    query = desk.ask({}, [lasting, SINGLE[name]])
    # Then
    assert query["status"] == "incomplete"
    assert check_against_truth(query, WARD, desk.right()) == {ill}


def test_two_studies_that_are_ill_at_two_levels_are_missing_and_no_other(desk):
    # Given
    faults = [
        Fault(operation="find", level="SERIES", kind="abort", answer=uid_of("mg_images"), always=True),
        Fault(operation="find", level="IMAGE", kind="bad_data_set", answer=uid_of("petct"), always=True),
    ]
    # When
    query = desk.ask({}, faults)
    # Then
    assert query["status"] == "incomplete"
    assert check_against_truth(query, WARD, desk.right()) == {uid_of("mg_images"), uid_of("petct")}


def test_all_studies_that_are_ill_are_missing_and_the_query_ends(desk):
    # Given
    wanted = [study for study in WARD if is_wanted(study) and study.kind != "dx_images"]
    faults = [
        Fault(
            operation="find",
            level="SERIES",
            kind="status",
            status=0xC002,
            answer=study.study_instance_uid,
            always=True,
        )
        for study in wanted
    ]
    # When
    query = desk.ask({}, faults)
    # Then
    assert query["status"] == "incomplete"
    assert check_against_truth(query, WARD) == {study.study_instance_uid for study in wanted}
    assert [
        study["state"] for study in query["studies"] if study["study_instance_uid"] == uid_of("dx_images")
    ] == ["decided"]
