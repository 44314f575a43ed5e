"""The fuse of a peer blows at its ceilings, and mends itself."""

from __future__ import annotations

from contextlib import suppress

import pytest

from shared.dicom.association import fuse as fuses
from shared.dicom.association.fuse import BLOWN_S, WINDOW_S, Fuse, FuseBlownError
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.peer import AttemptCeilings, Peer

PEER = Peer("pacs", 104, "PACS", "DOSEQR", ceilings=AttemptCeilings(failed=3, all=10))
OTHER = Peer("pacs", 104, "OTHER", "DOSEQR", ceilings=AttemptCeilings(failed=3, all=10))


class SetClock:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def fuse(clock: SetClock) -> Fuse:
    return Fuse(clock)


def fail(fuse: Fuse, times: int) -> None:
    for _ in range(times):
        with suppress(PeerError), fuse.attempt(PEER):
            raise PeerError(Outcome.REJECTED, "")


def succeed(fuse: Fuse, peer: Peer = PEER) -> None:
    with fuse.attempt(peer):
        pass


def blows(fuse: Fuse, peer: Peer = PEER) -> bool:
    try:
        with fuse.attempt(peer):
            return False
    except FuseBlownError:
        return True


def test_failed_attempts_of_a_minute_blow_it(fuse, clock):
    # When
    fail(fuse, 2)
    clock.now += WINDOW_S - 1
    fail(fuse, 1)
    # Then
    with pytest.raises(FuseBlownError, match="3 associations could not be established within a minute"):
        succeed(fuse)
    assert not blows(fuse, OTHER)


def test_failures_of_earlier_minutes_do_not_count(fuse, clock):
    # Given
    fail(fuse, 2)
    # When
    clock.now += WINDOW_S + 1
    fail(fuse, 2)
    # Then
    assert not blows(fuse)


def test_associations_that_stand_blow_it_at_the_higher_ceiling(fuse):
    # When
    for _ in range(10):
        succeed(fuse)
    # Then
    with pytest.raises(FuseBlownError, match="10 associations were requested within a minute"):
        succeed(fuse)


def test_a_blown_fuse_holds_for_five_minutes_and_begins_anew(fuse, clock):
    # Given
    fail(fuse, 3)
    assert blows(fuse)
    # When
    clock.now += BLOWN_S - 1
    held = blows(fuse)
    clock.now += 2
    # Then
    assert held
    fail(fuse, 2)
    assert not blows(fuse)


def test_peers_without_recent_attempts_are_forgotten(fuse, clock, monkeypatch):
    # Given
    monkeypatch.setattr(fuses, "PEERS", 2)
    for name in ("A", "B"):
        succeed(fuse, Peer("pacs", 104, name, "DOSEQR"))
    # When
    clock.now += WINDOW_S + 1
    succeed(fuse)
    # Then
    assert len(fuse._peers) == 1
