"""The budget of a node over several processes, on both databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from shared.clock import utc_now
from shared.database.models import NodeLease
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, NotNowError, Outcome, PeerError
from shared.node_access.budget import ClusterBudget
from shared.node_access.budget_port import Lease
from shared.node_access.leases import LEASE
from shared.node_access.limits import RECOVERY_STEP
from shared.node_access.outage import TRY_TAKES, AwayError
from shared.nodes.nodes import add_node, edit_node, find_node, parse_node

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


class SetClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def make_budget(database, clock, monkeypatch):
    """Make the budget of one process; it reads limits anew each time."""
    monkeypatch.setattr("shared.node_access.budget._LIMITS_KEPT_S", 0.0)
    made: list[ClusterBudget] = []

    def make(worker: str = "one", *, real_clock: bool = False) -> ClusterBudget:
        made.append(ClusterBudget(database, worker, utc_now if real_clock else clock))
        return made[-1]

    yield make
    for budget in made:
        budget.close()


def limited(database, **limits) -> int:
    """Return the id of the node `pacs` with these limits, made or changed."""
    values = {"kind": "remote", "name": "pacs", "host": "127.0.0.1", "port": 104, "ae_title": "PACS"} | limits
    with database.write() as session:
        return edit_node(session, add_node(session, parse_node(values), NOON), parse_node(values)).id


def changed(database, node_id: int, **limits) -> None:
    with database.write() as session:
        node = find_node(session, node_id)
        values = {"kind": "remote", "name": "pacs", "host": "127.0.0.1", "port": 104, "ae_title": "PACS"}
        edit_node(session, node, parse_node(values | limits))


def lease_now(budget: ClusterBudget, node_id: int) -> Lease | None:
    """Try once."""
    with budget.turn(node_id, None, begun=False) as turn:
        return turn.attempt()


# Associations


def test_all_processes_together_hold_no_more_than_allowed(database, make_budget):
    # Given
    node_id = limited(database, max_associations=3)
    budgets = [make_budget(str(number)) for number in range(4)]
    together = threading.Barrier(12)

    def take(number: int) -> Lease | None:
        together.wait()
        return lease_now(budgets[number % 4], node_id)

    # When
    with ThreadPoolExecutor(12) as threads:
        taken = [lease for lease in threads.map(take, range(12)) if lease is not None]
    # Then
    assert 1 <= len(taken) <= 3
    assert sum(lease_now(budgets[0], node_id) is not None for _ in range(5)) == 3 - len(taken)


def test_what_is_given_back_goes_to_whoever_waited_first(database, make_budget):
    # Given
    node_id = limited(database, max_associations=1)
    own, two = make_budget("one"), make_budget("two")
    held = lease_now(own, node_id)
    assert held is not None
    with two.turn(node_id, None, begun=False) as first, own.turn(node_id, None, begun=False) as second:
        waiting = [first.attempt(), second.attempt()]
        # When
        wanted = own.is_wanted(held)
        own.give_back(held)
        passed_over = second.attempt()
        served = first.attempt()
    # Then
    assert wanted
    assert waiting == [None, None]
    assert passed_over is None
    assert served is not None
    assert not two.is_wanted(served)


def test_a_dead_process_holds_its_leases_no_longer_than_a_minute(database, make_budget, clock):
    # Given
    node_id = limited(database, max_associations=1)
    assert lease_now(make_budget("dead"), node_id) is not None
    # When
    clock.pass_(seconds=LEASE.total_seconds() - 1)
    too_early = lease_now(make_budget("living"), node_id)
    clock.pass_(seconds=2)
    free = lease_now(make_budget("living"), node_id)
    # Then
    assert timedelta(minutes=1) >= LEASE
    assert too_early is None
    assert free is not None


def test_a_living_process_keeps_its_lease(database, make_budget, clock):
    # Given
    node_id = limited(database, max_associations=1)
    living = make_budget("living")
    held = lease_now(living, node_id)
    # When
    for _ in range(10):
        clock.pass_(seconds=10)
        living._leases.renew()
    # Then
    assert lease_now(make_budget("other"), node_id) is None
    assert held is not None
    assert not living.is_wanted(held)


def test_a_lease_that_ran_out_and_went_to_another_is_let_go(database, make_budget, clock):
    # Given
    node_id = limited(database, max_associations=1)
    asleep = make_budget("asleep")
    held = lease_now(asleep, node_id)
    # When
    clock.pass_(minutes=2)
    assert lease_now(make_budget("other"), node_id) is not None
    # Then
    assert held is not None
    assert asleep.is_wanted(held)


def test_a_process_that_stops_leaves_nothing_behind(database, make_budget):
    # Given
    node_id = limited(database, max_associations=2)
    budget = make_budget()
    budget.start()
    lease_now(budget, node_id)
    # When
    budget.close()
    # Then
    with database.read() as session:
        assert session.query(NodeLease).count() == 0


def test_a_changed_limit_holds_for_the_next_association(database, make_budget):
    # Given
    node_id = limited(database, max_associations=1)
    budget = make_budget()
    first = lease_now(budget, node_id)
    assert first is not None
    assert lease_now(budget, node_id) is None
    # When
    changed(database, node_id, max_associations=2)
    second = lease_now(budget, node_id)
    changed(database, node_id, max_associations=1)
    # Then
    assert second is not None
    assert budget.is_wanted(first)
    assert lease_now(budget, node_id) is None


@pytest.mark.parametrize(("among_ourselves_s", "rows"), [(60.0, 1), (0.0, 2)])
def test_a_process_that_has_all_associations_waits_without_the_database(
    database, make_budget, monkeypatch, among_ourselves_s, rows
):
    # Given
    monkeypatch.setattr("shared.node_access.budget._AMONG_OURSELVES_S", among_ourselves_s)
    node_id = limited(database, max_associations=1)
    budget = make_budget()
    lease = lease_now(budget, node_id)
    # When
    with budget.turn(node_id, None, begun=True) as turn:
        outcome = turn.attempt()
        with database.read() as session:
            kept = len(session.scalars(select(NodeLease)).all())
    # Then
    assert (outcome, kept) == (None, rows)
    assert lease is not None
    budget.give_back(lease)
    assert lease_now(budget, node_id) is not None


def test_a_wait_that_is_too_long_ends_with_its_reason(database, make_budget, clock, monkeypatch):
    # Given
    monkeypatch.setattr("shared.node_access.budget.NEW_ASSOCIATION_WAIT_S", 0.05)
    node_id = limited(database, max_associations=1)
    budget = make_budget()
    lease_now(budget, node_id)

    # When
    def wait_for_one() -> None:
        with budget.turn(node_id, None, begun=False) as turn:
            while turn.attempt() is None:
                turn.pause(threading.Event())

    # Then
    with pytest.raises(NotNowError) as notes:
        wait_for_one()
    assert notes.value.note == "waits for the one association of pacs"
    assert timedelta(seconds=1) <= notes.value.until - clock.now <= timedelta(seconds=3)
    assert not notes.value.whole_node


def test_who_waits_can_be_stopped(database, make_budget):
    # Given
    node_id = limited(database, max_associations=1)
    budget, cancellation = make_budget(), Cancellation()
    lease_now(budget, node_id)
    cancellation.cancel("stopping")
    # When / Then
    with budget.turn(node_id, cancellation, begun=True) as turn:
        assert turn.attempt() is None
        with pytest.raises(InterruptedWorkError, match="stopping"):
            turn.pause(threading.Event())


def test_a_refusal_for_congestion_slows_all_processes_down_and_passes(database, make_budget, clock):
    # Given
    node_id = limited(database, max_associations=4)
    own, other = make_budget("one"), make_budget("other")
    held = [lease_now(own, node_id) for _ in range(4)]
    # When
    refused = held.pop()
    assert refused is not None
    own.refused(refused, congested())
    own.give_back(refused)
    for lease in held:
        assert lease is not None
        own.give_back(lease)
    soon = [lease_now(other, node_id) is not None for _ in range(4)]
    clock.pass_(seconds=RECOVERY_STEP.total_seconds())
    other._leases.renew()
    later = [lease_now(other, node_id) is not None for _ in range(3)]
    # Then
    assert soon == [True, True, False, False]
    assert later == [True, False, False]


# Requests


def test_requests_of_all_processes_are_counted_together(database, make_budget, clock):
    # Given
    node_id = limited(database, requests_per_minute=60)
    own, other = make_budget("one"), make_budget("other")
    clock.pass_(minutes=5)

    def may_send(budget: ClusterBudget) -> bool:
        limits = budget._limits_of(node_id)
        assert limits is not None
        try:
            return budget._reserve(node_id, limits, 60, 0.0) == 0.0
        except NotNowError:
            return False

    # When
    at_once = sum(may_send(budget) for budget in (own, other) * 5)
    in_ten_seconds = 0
    for number in range(20):
        clock.pass_(seconds=0.5)
        in_ten_seconds += may_send((own, other)[number % 2])
    # Then
    assert at_once == 1
    assert in_ten_seconds == 10


def test_a_request_that_was_not_sent_is_there_for_others(database, make_budget, clock):
    # Given
    node_id = limited(database, requests_per_minute=1)
    own, other = make_budget("one"), make_budget("other")
    own.take_request(node_id, None, begun=False)
    with pytest.raises(NotNowError) as notes:
        other.take_request(node_id, None, begun=False)
    # When
    own.give_back_request(node_id)
    # Then
    other.take_request(node_id, None, begun=False)
    assert notes.value.until - clock.now == timedelta(minutes=1)
    assert notes.value.whole_node
    assert notes.value.note == "pacs takes 1 request a minute"


def test_a_rate_is_taken_away_at_once(database, make_budget):
    # Given
    node_id = limited(database, requests_per_minute=1)
    budget = make_budget()
    budget.take_request(node_id, None, begun=False)
    # When
    changed(database, node_id, requests_per_minute=None)
    # Then
    for _ in range(10):
        budget.take_request(node_id, None, begun=False)


# Hours


def test_outside_its_hours_a_node_gets_no_request(database, make_budget, clock):
    # Given
    node_id = limited(database, hours="18:00-06:00", time_zone="Europe/Berlin")
    budget = make_budget()
    # When
    with pytest.raises(NotNowError) as notes:
        budget.take_request(node_id, None, begun=True)
    clock.now = notes.value.until
    budget.take_request(node_id, None, begun=False)
    # Then
    assert notes.value.until == NOON.replace(hour=16)
    assert notes.value.note == "pacs takes requests from 18:00"
    assert notes.value.whole_node


def test_who_has_no_limits_is_never_kept(database, make_budget):
    # Given
    budget = make_budget()
    # When
    budget.take_request(None, None, begun=False)
    with budget.turn(None, None, begun=False) as turn:
        leases = [turn.attempt() for _ in range(100)]
    # Then
    assert all(lease is not None for lease in leases)
    for lease in leases:
        assert lease is not None
        assert not budget.is_wanted(lease)
        budget.give_back(lease)


# Outages


def congested() -> PeerError:
    return PeerError(Outcome.REJECTED, "local limit exceeded", congested=True, associating=True)


def refused() -> PeerError:
    return PeerError(Outcome.CONNECTION_REFUSED, "127.0.0.1:104 takes no connections", associating=True)


@pytest.mark.parametrize("is_busy", [False, True], ids=["away", "too busy for a single association"])
def test_a_node_that_is_away_is_tried_by_one_process_at_a_time(database, make_budget, clock, is_busy):
    # Given
    node_id = limited(database, max_associations=4)
    first, second = make_budget("one"), make_budget("two")
    lease = lease_now(first, node_id)
    assert lease is not None
    error = congested() if is_busy else refused()
    # When: it was not reached
    if is_busy:
        first.refused(lease, error)
    else:
        first.unreachable(lease, error)
    first.give_back(lease)
    # Then: nobody tries it before its time
    with pytest.raises(AwayError) as caught:
        lease_now(second, node_id)
    assert caught.value.retry_at == error.retry_at
    assert (str(caught.value), caught.value.congested) == (str(error), is_busy)
    assert caught.value.peer_away
    # And then one process does, and the others come back soon
    assert error.retry_at is not None
    clock.now = error.retry_at
    trying = lease_now(second, node_id)
    assert trying is not None
    assert trying.tries
    with pytest.raises(AwayError) as waiting:
        lease_now(first, node_id)
    assert waiting.value.retry_at == clock.now + TRY_TAKES
    # And all are free once it is reached
    second.reached(trying)
    others = [lease_now(first, node_id) for _ in range(3)]
    assert [other.tries for other in others if other is not None] == [False] * (0 if is_busy else 3)


def test_a_process_that_dies_while_it_tries_a_node_does_not_keep_others_from_it(database, make_budget, clock):
    # Given
    node_id = limited(database, max_associations=4)
    first, second = make_budget("one"), make_budget("two")
    lease = lease_now(first, node_id)
    assert lease is not None
    first.unreachable(lease, refused())
    clock.pass_(minutes=1)
    assert lease_now(first, node_id) is not None
    # When
    clock.pass_(seconds=31)
    taken = lease_now(second, node_id)
    # Then
    assert taken is not None
    assert taken.tries


def test_another_address_of_a_node_that_is_away_is_tried_at_once(database, make_budget):
    # Given
    node_id = limited(database, max_associations=4)
    budget = make_budget("one")
    lease = lease_now(budget, node_id)
    assert lease is not None
    budget.unreachable(lease, refused())
    # When
    changed(database, node_id, port=105)
    # Then
    assert lease_now(budget, node_id) is not None
