"""What follows from a report on a storage commitment, and how long one is waited for."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieve.commitment.payloads import (
    AWAIT_COMMIT,
    COMMIT,
    CommitOrder,
    ReportOrder,
    commit_order,
    order_after,
    outcome_of_report,
    report_order,
)
from services.retrieve.planning.moves import SeriesPart
from services.retrieve.planning.payloads import MAX_ROUNDS, MOVE, MoveOrder, move_order
from shared.dicom.storage_commitment.messages import CommitmentResult

uids = st.sampled_from([f"1.2.{n}" for n in range(12)])
reasons = st.sampled_from([0, 0x0110, 0x0112, 0x0119, 0x0122, 0x0131, 0x0213, 0xFFFF])


def shares_of(*names: str, series: str = "1.2.1") -> list[SeriesPart]:
    return [SeriesPart("1.1", series, tuple(names))]


def order(parts: list[SeriesPart], *, round_number: int = 2, missed_s: float = 0.0) -> CommitOrder:
    again = MoveOrder(round=round_number).of(part.by_objects() for part in parts)
    return CommitOrder(again, "reported", missed_s)


def report(*committed: str, **failed: int) -> CommitmentResult:
    named = {uid.replace("_", "."): reason for uid, reason in failed.items()}
    return CommitmentResult("1.9", frozenset(committed), MappingProxyType(named))


@given(
    requested=st.sets(uids, min_size=1),
    committed=st.sets(uids),
    failed=st.dictionaries(uids, reasons),
    round_number=st.integers(2, MAX_ROUNDS + 1),
    missed_s=st.sampled_from([0.0, 5.0, 10.0]),
)
def test_each_requested_object_goes_one_way_and_no_other_goes_any(
    requested, committed, failed, round_number, missed_s
):
    # Given
    parts = shares_of(*sorted(requested))
    result = CommitmentResult("1.9", frozenset(committed) - failed.keys(), MappingProxyType(failed))
    # When
    outcome = outcome_of_report(
        order(parts, round_number=round_number, missed_s=missed_s), parts, result, 10.0
    )
    # Then
    unnamed = [uid for part in outcome.unnamed for uid in part.sop_instance_uids]
    lost = [uid for parts in outcome.lost.values() for part in parts for uid in part.sop_instance_uids]
    again = [uid for task in outcome.tasks for uid in requested_again(task.kind, task.payload)]
    assert sorted([*outcome.committed, *unnamed, *lost, *again]) == sorted(requested)
    assert outcome.committed == requested & result.committed


def requested_again(kind: str, payload: dict[str, Any]) -> list[str]:
    order = commit_order(payload).order if kind == COMMIT else move_order(payload)
    return [uid for part in order.parts for uid in part.sop_instance_uids]


def test_what_the_node_does_not_have_yet_is_searched_there_again_within_the_grace_period():
    # Given
    parts = shares_of("1.2.3", "1.2.4")
    # When
    outcome = outcome_of_report(order(parts), parts, report("1.2.3", **{"1.2.4": 0x0112}), 10.0)
    # Then
    [task] = outcome.tasks
    assert (task.kind, task.delay_s) == (COMMIT, 1.0)
    assert commit_order(task.payload).missed_s == 1.0
    assert requested_again(COMMIT, task.payload) == ["1.2.4"]


def test_after_the_grace_period_the_pacs_gets_another_request():
    # Given
    parts = shares_of("1.2.4")
    # When
    outcome = outcome_of_report(order(parts, missed_s=10.0), parts, report(**{"1.2.4": 0x0112}), 10.0)
    # Then
    assert [task.kind for task in outcome.tasks] == [MOVE]
    assert move_order(outcome.tasks[0].payload).round == 2


def test_after_the_last_round_it_is_given_up():
    # Given
    parts = shares_of("1.2.4")
    commit = order(parts, round_number=MAX_ROUNDS + 1, missed_s=10.0)
    # When
    outcome = outcome_of_report(commit, parts, report(**{"1.2.4": 0x0112}), 10.0)
    # Then
    assert (outcome.tasks, list(outcome.lost)) == ([], [0x0112])


@pytest.mark.parametrize("reason", [0x0119, 0x0122, 0x0131, 0xFFFF])
def test_what_the_node_will_not_keep_is_given_up_at_once(reason):
    # Given
    parts = shares_of("1.2.4")
    # When
    outcome = outcome_of_report(order(parts), parts, report(**{"1.2.4": reason}), 10.0)
    # Then
    assert (outcome.tasks, list(outcome.lost)) == ([], [reason])


@given(st.sets(uids, min_size=1), st.integers(1, 3), st.sampled_from([0.3, 1.0, 77.0, 300.0]))
def test_a_report_is_waited_for_as_long_as_announced(names, round_number, timeout_s):
    # Given
    parts = shares_of(*sorted(names))
    [first] = order_after(MoveOrder(round=round_number), "reported").tasks(parts)
    awaited = ReportOrder(commit_order(first.payload), ("1.9", "1.10"))
    waited_s, polls = 0.0, 0
    # When
    while awaited.waited_s < timeout_s:
        task = awaited.task(timeout_s)
        assert (task.kind, task.delay_s > 0) == (AWAIT_COMMIT, True)
        waited_s += task.delay_s
        awaited = report_order(json.loads(json.dumps(task.payload)))
        polls += 1
    # Then
    assert waited_s == pytest.approx(timeout_s)
    assert awaited.waited_s == pytest.approx(timeout_s)
    assert awaited.commit == commit_order(first.payload)
    assert awaited.transaction_uids == ("1.9", "1.10")
    assert polls <= timeout_s / 10 + 8


def test_one_request_holds_a_bounded_number_of_objects():
    # Given
    parts = [SeriesPart("1.1", "1.2.1", tuple(f"1.3.{n}" for n in range(1000)), whole=True)]
    # When
    tasks = order_after(MoveOrder(), "reported").tasks(parts)
    # Then
    named = [requested_again(task.kind, task.payload) for task in tasks]
    assert max(map(len, named)) <= 200
    assert sum(map(len, named)) == 1000
