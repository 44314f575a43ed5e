"""What goes wrong once, always, or for one study, at each level and at each place of an answer.

Whatever happens: each study is judged as if nothing had happened, or named as missing; `completed` is never
said of less.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from simulator.archive.model import Study
from simulator.behaviour import Fault
from tests.support.jobs.ward import ONE, WARD, Desk, check_against_truth, is_wanted, uid_of

#: pydicom warns of values in an answer that it cannot read.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

LEVELS = ["STUDY", "SERIES", "IMAGE"]
#: Answers that go out before: the first, one in the middle, the end of the answer is struck.
PLACES = {"first": 0, "middle": 2, "end": 10_000}

#: Faults of a request by a name.
ENDINGS: dict[str, dict[str, Any]] = {
    "abort": {"kind": "abort"},
    "close": {"kind": "close"},
    "garbage": {"kind": "garbage"},
    "0xA700": {"kind": "status", "status": 0xA700},
    "0xA701": {"kind": "status", "status": 0xA701},
    "0xC001": {"kind": "status", "status": 0xC001},
    "0xFE00": {"kind": "status", "status": 0xFE00},
    "0xB001": {"kind": "status", "status": 0xB001},
    "0x0110": {"kind": "status", "status": 0x0110},
}
#: Faults of one answer that leave it unreadable.
BROKEN: dict[str, dict[str, Any]] = {
    "broken data set": {"kind": "bad_data_set"},
    "no UID": {"kind": "missing_uid"},
}
#: Faults of one answer that leave all in it that is needed.
HARMLESS: dict[str, dict[str, Any]] = {
    "wrong character set": {"kind": "wrong_character_set"},
    "unknown character set": {"kind": "unknown_character_set"},
    "10,000 characters of modalities": {"kind": "many_modalities"},
    "delay": {"kind": "delay", "delay_s": 0.2},
}
#: Faults that do not pass.
LASTING: dict[str, dict[str, Any]] = {
    name: (ENDINGS | BROKEN | {"0xA900": {"kind": "status", "status": 0xA900}})[name]
    for name in ("abort", "0xA700", "0xA900", "0xC001", "0xFE00", *BROKEN)
}


@pytest.fixture(scope="module")
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


def needs_images(kind: str) -> bool:
    """Return whether a decision about such a study needs the image level."""
    return any(entry.modality in {"SR", "PT", "NM"} for entry in ONE[kind].series)


def neighbours(study: Study) -> set[str]:
    """Return the studies of the same three hours."""

    def minute(one: Study) -> int:
        assert one.time is not None
        return one.time.hour * 60 + one.time.minute

    near = (
        neighbour
        for neighbour in WARD
        if neighbour.date == study.date and abs(minute(neighbour) - minute(study)) < 180
    )
    return {neighbour.study_instance_uid for neighbour in near}


@pytest.mark.parametrize(
    ("name", "place"),
    [
        *itertools.product(["abort", "close", "0xA700", "0xC001"], PLACES),
        # There is no answer to break at the end.
        *itertools.product(BROKEN, ["first", "middle"]),
    ],
)
@pytest.mark.parametrize("level", LEVELS)
def test_a_fault_that_passes_leaves_no_trace(desk, name, level, place):
    # Given
    fault = Fault(operation="find", level=level, after_responses=PLACES[place], **(ENDINGS | BROKEN)[name])
    # When
    query = desk.ask({}, [fault])
    # Then
    assert query["status"] == "completed"
    assert check_against_truth(query, WARD, desk.right()) == set()
    assert desk.pacs[-1].faults_struck == 1


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["garbage", "0xA701", "0xFE00", "0xB001", "0x0110", *HARMLESS])
def test_a_rarer_fault_that_passes_leaves_no_trace(desk, name, level):
    # Given
    fault = Fault(operation="find", level=level, after_responses=1, **(ENDINGS | HARMLESS)[name])
    # When
    query = desk.ask({}, [fault])
    # Then
    assert query["status"] == "completed"
    assert check_against_truth(query, WARD, desk.right()) == set()
    assert desk.pacs[-1].faults_struck == 1


@pytest.mark.parametrize("level", ["SERIES", "IMAGE"])
@pytest.mark.parametrize("place", ["first", "middle"])
def test_an_answer_that_gets_lost_is_missed_and_asked_for_again(desk, level, place):
    # Given
    fault = Fault(operation="find", level=level, after_responses=PLACES[place], kind="drop_answer")
    # When
    query = desk.ask({}, [fault])
    # Then
    assert query["status"] == "completed"
    assert check_against_truth(query, WARD, desk.right()) == set()


@pytest.mark.parametrize("name", LASTING)
@pytest.mark.parametrize("level", LEVELS)
def test_what_always_fails_names_all_that_it_hides_after_few_requests(desk, name, level):
    # Given
    fault = Fault(operation="find", level=level, always=True, **LASTING[name])
    # When
    query = desk.ask({}, [fault])
    # Then
    hidden = {study.study_instance_uid for study in WARD if is_wanted(study)}
    if level == "IMAGE":
        hidden -= {study.study_instance_uid for study in WARD if not needs_images(study.kind)}
    lost = check_against_truth(query, WARD, desk.right())
    if level == "STUDY" and name in BROKEN:
        # It is the first answer of each request that is broken: cut, and the others come through.
        assert 0 < len(lost) < len(hidden)
    else:
        assert lost == hidden
    all_failed = level == "STUDY" and name not in BROKEN
    assert query["status"] == ("failed" if all_failed else "incomplete")
    assert query["finds"] < 300


@pytest.mark.parametrize(
    ("name", "level"),
    # 0xA900 is about the request, not about a study: no part of a window is asked for after it.
    [case for case in itertools.product(LASTING, LEVELS) if case != ("0xA900", "STUDY")],
)
def test_a_study_that_cannot_be_answered_takes_hardly_another_with_it(desk, name, level):
    # Given
    ill = uid_of("ct_rdsr")
    fault = Fault(operation="find", level=level, answer=ill, always=True, **LASTING[name])
    # When
    query = desk.ask({}, [fault])
    # Then
    assert query["status"] == "incomplete"
    lost = check_against_truth(query, WARD, desk.right())
    assert {ill} <= lost <= (neighbours(ONE["ct_rdsr"]) if level == "STUDY" else {ill})
    assert query["finds"] < 300


@pytest.mark.parametrize(("level", "kind"), [("SERIES", "ct_esr"), ("IMAGE", "petct")])
def test_a_study_of_which_an_answer_is_always_lost_is_missing_alone(desk, level, kind):
    # Given
    fault = Fault(operation="find", level=level, answer=uid_of(kind), always=True, kind="drop_answer")
    # When
    query = desk.ask({}, [fault])
    # Then
    assert query["status"] == "incomplete"
    assert check_against_truth(query, WARD, desk.right()) == {uid_of(kind)}
