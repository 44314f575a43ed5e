"""The state of the store in its heartbeat: problem, free space, and refusals of the last minute."""

from __future__ import annotations

from services.store.metrics.counters import StoreCounters
from services.store.metrics.health import RECENT_S, StoreStateSource
from services.store.objects.disk_space import DiskSpace
from services.store.objects.paths import INCOMING


def test_refusals_are_counted_for_a_minute(tmp_path):
    # Given
    (tmp_path / INCOMING).mkdir()
    now = [0.0]
    counters = StoreCounters()
    state = StoreStateSource(DiskSpace(tmp_path), counters, clock=lambda: now[0])
    refused = []
    # When it is read every ten seconds, with three refusals in the first
    for step in range(9):
        if step == 1:
            counters.add("refused_out_of_space", 2)
            counters.add("refused_index_away")
            counters.add("refused_not_understood")  # its sender's fault
        now[0] = step * 10.0
        refused.append(state().refused_recently)
    # Then
    assert refused[:2] == [0, 3]
    assert [step * 10.0 for step, number in enumerate(refused) if number][-1] < 10.0 + RECENT_S
    assert refused[-1] == 0


def test_a_store_that_can_write_has_no_problem(tmp_path):
    # Given
    (tmp_path / INCOMING).mkdir()
    # When
    state = StoreStateSource(DiskSpace(tmp_path), StoreCounters())()
    # Then
    assert (state.problem, state.read_only, state.database_free_bytes) == ("", False, None)
    assert (state.objects_free_bytes or 0) > 0


def test_a_folder_that_is_gone_is_a_problem(tmp_path):
    # When
    state = StoreStateSource(DiskSpace(tmp_path / "gone"), StoreCounters())()
    # Then
    assert state.problem == "objects cannot be written: ENOENT"
