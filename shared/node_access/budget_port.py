"""The budget that the pool of associations consults before it uses a node; without limits, all is allowed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import NotNowError, PeerError


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to have one association."""

    token: str
    #: None: a peer without limits.
    node_id: int | None
    #: Monotonic time at which it was given.
    since: float
    #: Whether it is there to try a node that is away.
    tries: bool = False


class Turn(Protocol):
    """Somebody's wait for an association."""

    @property
    def number(self) -> int | None:
        """Its number among all who wait in any process; None before the first attempt, or without limits."""
        ...

    def attempt(self) -> Lease | None:
        """Return a lease if there is one now.

        Raises:
            AwayError: the node was not reached shortly before, or somebody else tries it.
        """
        ...

    def pause(self, woken: Event) -> bool:
        """Wait a little, at most until `woken` is set; return whether it was.

        Raises:
            NotNowError: it was waited long enough.
            InterruptedWorkError: the work was stopped.
        """
        ...


class Budget(Protocol):
    """The budget of a node; a `begun` piece of work has sent requests that it would have to repeat."""

    def take_request(self, node_id: int | None, cancellation: Cancellation | None, *, begun: bool) -> None:
        """Wait until one request may be sent.

        Raises:
            NotNowError: the wait would be too long, or the node's hours forbid it now.
            InterruptedWorkError: the work was stopped.
        """
        ...

    def give_back_request(self, node_id: int | None) -> None:
        """Note that a request was not sent."""
        ...

    def turn(
        self, node_id: int | None, cancellation: Cancellation | None, *, begun: bool
    ) -> AbstractContextManager[Turn]:
        """Wait for an association within the block; a lease that was given outlasts it."""
        ...

    def give_back(self, lease: Lease) -> None:
        """Note that an association has ended."""
        ...

    def is_wanted(self, lease: Lease) -> bool:
        """Return whether others wait for this association, or it is one too many by now."""
        ...

    def refused(self, lease: Lease, error: PeerError) -> None:
        """Note that the node refused this association for congestion; the only one: as `unreachable`."""
        ...

    def unreachable(self, lease: Lease, error: PeerError) -> None:
        """Note that the node was not reached, and in the error, when the next try is allowed."""
        ...

    def reached(self, lease: Lease) -> None:
        """Note that a node that was away is back."""
        ...

    def blown(self, lease: Lease, error: NotNowError) -> None:
        """Note that the fuse of the node has blown: nobody sends it anything until then."""
        ...


class Unlimited:
    """The budget of those who need none."""

    def take_request(self, node_id: int | None, cancellation: Cancellation | None, *, begun: bool) -> None:
        """Return without waiting."""

    def give_back_request(self, node_id: int | None) -> None:
        """Do nothing."""

    @contextmanager
    def turn(self, node_id: int | None, cancellation: Cancellation | None, *, begun: bool) -> Iterator[Turn]:
        """Give a turn that need not wait."""
        del node_id, cancellation, begun
        yield _FreeTurn()

    def give_back(self, lease: Lease) -> None:
        """Do nothing."""

    def is_wanted(self, lease: Lease) -> bool:
        """Return that nobody waits."""
        del lease
        return False

    def refused(self, lease: Lease, error: PeerError) -> None:
        """Do nothing."""

    def unreachable(self, lease: Lease, error: PeerError) -> None:
        """Do nothing."""

    def reached(self, lease: Lease) -> None:
        """Do nothing."""

    def blown(self, lease: Lease, error: NotNowError) -> None:
        """Do nothing."""


class _FreeTurn:
    number = None

    def attempt(self) -> Lease:
        return Lease("", None, time.monotonic())

    def pause(self, woken: Event) -> bool:
        return woken.is_set()
