"""When a fault strikes, and what a behaviour may contain."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from simulator.behaviour import Behaviour, Fault
from simulator.faults import FaultBook, RequestDetails


def strikes(fault: Fault, details: list[RequestDetails]) -> list[bool]:
    book = FaultBook(Behaviour(faults=(fault,)))
    return [book.strike(fact) is not None for fact in details]


FIND = RequestDetails("find", "SCU", "STUDY", frozenset({"1.2"}), frozenset({"CT"}))


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [True, False, False, False, False]),
        ({"nth": 3}, [False, False, True, False, False]),
        ({"times": 2}, [True, True, False, False, False]),
        ({"every": 2, "always": True}, [True, False, True, False, True]),
        ({"nth": 2, "every": 2, "times": 2}, [False, True, False, True, False]),
        ({"times": None}, [True] * 5),
    ],
)
def test_fault_strikes_at_the_requests_it_counts(conditions, expected):
    assert strikes(Fault(operation="find", kind="abort", **conditions), [FIND] * 5) == expected


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"operation": "move"}, False),
        ({"level": "SERIES"}, False),
        ({"level": "STUDY"}, True),
        ({"uid": "1.3"}, False),
        ({"uid": "1.2"}, True),
        ({"code": "MG"}, False),
        ({"calling_ae_title": "OTHER"}, False),
        ({"calling_ae_title": "SCU"}, True),
    ],
)
def test_fault_strikes_only_requests_that_fit(conditions, expected):
    assert strikes(Fault(**{"operation": "find", "kind": "abort", **conditions}), [FIND]) == [expected]


def test_counts_go_on_when_a_fault_is_added():
    # Given
    first = Fault(operation="find", kind="abort")
    book = FaultBook(Behaviour(faults=(first,)))
    book.strike(FIND)

    # When
    book.replace(Behaviour(faults=(first, Fault(operation="find", kind="close"))))

    # Then
    struck = book.strike(FIND)
    assert struck is not None
    assert struck.kind == "close"


@pytest.mark.parametrize(
    "fields",
    [
        {"operation": "find", "kind": "reject"},
        {"operation": "move", "kind": "bad_data_set"},
        {"operation": "associate", "kind": "status"},
        {"operation": "find", "kind": "status", "status": "0xFFFFF"},
        {"operation": "find", "kind": "explode"},
        {"operation": "find", "kind": "delay", "delay_s": -1},
        {"operation": "move", "kind": "abort", "answer": "1.2"},
    ],
)
def test_fault_that_makes_no_sense_is_refused(fields):
    with pytest.raises(ValidationError):
        Fault(**fields)


@pytest.mark.parametrize("written", [0xA700, "0xA700", "A700H", "a700"])
def test_status_may_be_written_as_in_the_standard(written):
    assert Fault(operation="find", kind="status", status=written).status == 0xA700


def test_behaviour_survives_json():
    # Given
    behaviour = Behaviour(cap=3, hidden={"1.2"}, faults=(Fault(operation="find", kind="delay", delay_s=2),))

    # Then
    assert Behaviour.model_validate_json(behaviour.model_dump_json()) == behaviour
