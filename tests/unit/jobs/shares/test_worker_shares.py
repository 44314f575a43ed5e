"""How worker threads are shared among nodes: none holds the last one, none waits behind another."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.shares.worker_shares import PATIENCE_S, SPARE_THREADS, WorkerShares


def hold(shares: WorkerShares, stack: ExitStack, node_id: int, times: int) -> int:
    """Return how many of so many threads the node was given; it keeps them."""
    return sum(stack.enter_context(shares.turn(node_id, 0)) for _ in range(times))


def test_a_node_alone_gets_all_but_the_spare_threads():
    # Given
    shares = WorkerShares(4)
    # When / Then
    with ExitStack() as stack:
        assert hold(shares, stack, 1, shares.threads) == 4
    assert shares.threads == 4 + SPARE_THREADS


def test_a_second_node_begins_while_the_first_holds_its_share():
    # Given
    shares = WorkerShares(4)
    with ExitStack() as stack:
        hold(shares, stack, 1, 8)
        # When / Then
        assert hold(shares, stack, 2, 1) == 1


def test_two_nodes_share_evenly():
    # Given
    shares = WorkerShares(4)
    with ExitStack() as stack:
        hold(shares, stack, 1, 1)
        hold(shares, stack, 2, 1)
        # When / Then
        assert hold(shares, stack, 1, 8) == 1
        assert hold(shares, stack, 2, 8) == 1


def test_what_a_node_gives_back_goes_to_the_next():
    # Given
    shares = WorkerShares(1)
    with ExitStack() as stack:
        hold(shares, stack, 1, 1)
    # When / Then
    with ExitStack() as stack:
        assert hold(shares, stack, 1, 2) == 1


def test_a_thread_waits_a_moment_for_its_turn():
    # Given
    shares = WorkerShares(1)
    # When
    with shares.turn(1) as first, shares.turn(1, 0.01) as second:
        # Then
        assert (first, second) == (True, False)


@given(st.integers(1, 16), st.lists(st.integers(1, 5), max_size=60))
def test_no_node_ever_holds_the_last_thread(workers, nodes):
    # Given
    shares = WorkerShares(workers)
    held: dict[int, int] = {}
    # When
    with ExitStack() as stack:
        for node_id in nodes:
            held[node_id] = held.get(node_id, 0) + hold(shares, stack, node_id, 1)
    # Then
    assert all(1 <= count < shares.threads for count in held.values())
    assert sum(held.values()) <= max(workers, 1) + min(len(held), SPARE_THREADS + 1)


def test_a_task_is_kept_while_another_thread_is_free():
    # Given a node that has its share, and three more threads that wait for it
    shares = WorkerShares(1)
    turns: list[bool] = []

    def wait() -> None:
        with shares.turn(1) as granted:
            turns.append(granted)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    # When it waits for longer than a moment
    with shares.turn(1):
        for thread in threads:
            thread.start()
        threads[0].join(4 * PATIENCE_S)
        kept = not turns
    for thread in threads:
        thread.join(20)
    # Then
    assert kept
    assert turns == [True] * 3
