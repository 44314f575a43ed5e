"""Orders about jobs of which there is no row yet, and jobs whose priority is raised."""

from __future__ import annotations

import pytest

from shared.clock import utc_now
from shared.contract.messages import Accepted, Cancelled, Paused, Raised
from shared.control import early_orders
from shared.control.early_orders import Action, Order
from shared.database.models import EarlyOrder, Query
from shared.database.models.pause import PriorityRaise
from tests.integration.jobs.conftest import Bench
from tests.support.waiting import wait_until


def keep(bench: Bench, action: Action, command_id: str = "order-1") -> bool:
    return bench.control.keep(Order(action, "query-1", command_id, "physicist"))


def kept(bench: Bench) -> list[str]:
    with bench.database.read() as session:
        return [row.action for row in session.query(EarlyOrder).order_by(EarlyOrder.id)]


def begin(bench: Bench, tasks: int = 3) -> None:
    bench.begin(tasks)
    bench.control.begin("query-1")


def test_a_cancellation_that_overtakes_its_job_ends_it_unbegun(bench: Bench):
    # Given
    assert not keep(bench, "cancel")
    assert not keep(bench, "cancel")
    # When
    begin(bench)
    # Then
    bench.wait_for_end()
    assert [type(event) for event in bench.events if isinstance(event, Accepted | Cancelled)][:1] == [
        Accepted
    ]
    assert (bench.job().status, bench.work.performed) == ("cancelled", [])
    ended = bench.endings[-1]
    assert isinstance(ended, Cancelled)
    assert ended.cancelled_by == "physicist"
    assert {task.state for task in bench.tasks()} == {"cancelled"}
    assert kept(bench) == []


def test_a_pause_that_comes_first_holds_the_job(bench: Bench):
    # Given
    keep(bench, "pause")
    # When
    begin(bench)
    bench.engine.sweep(queue_is_empty=True)
    # Then
    assert bench.job().waits_for.startswith("paused by physicist since 20")
    assert bench.in_flight("query-1") == 0
    wait_until(lambda: any(isinstance(event, Paused) for event in bench.events))


def test_a_pause_and_its_resume_are_done_in_order(bench: Bench):
    # Given
    keep(bench, "pause", "order-1")
    keep(bench, "resume", "order-2")
    # When
    begin(bench)
    # Then
    assert bench.job().pause is None
    assert bench.in_flight("query-1") == 3


def test_an_order_whose_job_was_committed_meanwhile_is_done(bench: Bench):
    # Given: the job is committed after its row was looked up, and begun before the order is kept
    bench.begin(3)
    bench.control.begin("query-1")
    # When
    done = keep(bench, "cancel")
    # Then
    assert done
    assert bench.job().status == "cancelled"


def test_kept_orders_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    # Given
    monkeypatch.setattr(early_orders, "MAX_ORDERS", 3)
    # When
    for number in range(5):
        bench.control.keep(Order("cancel", f"nobody-{number}", f"order-{number}", ""))
    # Then
    with bench.database.read() as session:
        assert [row.job_id for row in session.query(EarlyOrder)] == ["nobody-2", "nobody-3", "nobody-4"]


def test_tasks_of_a_raised_job_go_before_those_of_others(bench: Bench):
    # Given: an older query has all of the node
    bench.begin(20, "query-1")
    bench.engine.advance("query-1")
    bench.begin(20, "query-2", priority="background")
    held = bench.in_flight("query-1")
    assert held > 2
    # When
    assert bench.control.raise_priority("query-2", PriorityRaise("physicist", utc_now(), "raise-1"))
    bench.perform("query-1", held)
    # Then: what ends of the older one makes room for the raised one alone
    assert (bench.in_flight("query-1"), bench.in_flight("query-2")) == (0, held)
    bench.perform("query-2", 20)
    assert bench.job("query-2").status == "completed"
    assert bench.in_flight("query-1") == held


def test_the_first_raise_stands_and_each_is_responded_to(bench: Bench):
    # Given
    bench.begin(1)
    # When
    for number in (1, 2):
        bench.control.raise_priority(
            "query-1", PriorityRaise(f"person-{number}", utc_now(), f"raise-{number}")
        )
    # Then
    wait_until(lambda: sum(isinstance(event, Raised) for event in bench.events) == 2)
    raised = [event for event in bench.events if isinstance(event, Raised)]
    assert [(event.command_id, event.raised_by) for event in raised] == [
        ("raise-1", "person-1"),
        ("raise-2", "person-1"),
    ]


def test_an_ended_job_is_not_raised(bench: Bench):
    # Given
    begin(bench, 1)
    bench.perform("query-1")
    bench.wait_for_end()
    # When
    assert bench.control.raise_priority("query-1", PriorityRaise("physicist", utc_now(), "raise-1"))
    # Then
    bench.wait_for_end(2)
    with bench.database.read() as session:
        assert session.get_one(Query, "query-1").raised is None
