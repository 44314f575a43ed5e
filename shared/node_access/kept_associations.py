"""The associations that a process keeps between tasks, and the line of those who wait for one.

Without the line, work that has just begun would take an association that is given back before those look who
wait for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Generic, TypeVar

from shared.dicom.association.base import Association
from shared.dicom.cancellation import Cancellation
from shared.dicom.peer import Peer
from shared.node_access.budget_port import Lease

#: Seconds between two checks of idle associations; one that others wait for is released then. As often, who
#: waits attempts to open one, whatever happens.
POLL_INTERVAL_S = 0.25

AssociationT = TypeVar("AssociationT", bound=Association)
AssociationT_co = TypeVar("AssociationT_co", bound=Association, covariant=True)


@dataclass(frozen=True, slots=True)
class Use(Generic[AssociationT]):
    """The peer and the service that an association is kept for."""

    service: type[AssociationT]
    peer: Peer
    storage_classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept(Generic[AssociationT_co]):
    """An association that is lent, or idle."""

    association: AssociationT_co
    lease: Lease
    #: Who used it last, and until when.
    user: Cancellation | None = None
    since: float = 0.0


class IdleAssociations:
    """The associations that nobody uses now; safe from any thread."""

    def __init__(self) -> None:
        self._idle: dict[Use[Any], list[Kept[Any]]] = {}
        self._lock = threading.Lock()
        #: Set while there may be any.
        self.filled = threading.Event()

    def add(self, use: Use[AssociationT], kept: Kept[AssociationT], user: Cancellation | None) -> None:
        """Keep an association that its user needs no more."""
        with self._lock:
            idle = Kept(kept.association, kept.lease, user, time.monotonic())
            self._idle.setdefault(use, []).append(idle)
            self.filled.set()

    def pop(self, use: Use[AssociationT]) -> Kept[AssociationT] | None:
        """Take out the one that was used last."""
        with self._lock:
            idle: list[Kept[AssociationT]] = self._idle.get(use, [])
            return idle.pop() if idle else None

    def resting(self, for_s: float) -> list[Kept[Association]]:
        """Return those that nobody has used for so many seconds."""
        now = time.monotonic()
        with self._lock:
            return [kept for idle in self._idle.values() for kept in idle if now - kept.since >= for_s]

    def remove(self, which: Callable[[Use[Association], Kept[Association]], bool]) -> list[Kept[Association]]:
        """Take out all that meet a condition."""
        removed: list[Kept[Association]] = []
        with self._lock:
            for use, idle in list(self._idle.items()):
                removed += [kept for kept in idle if which(use, kept)]
                self._idle[use] = [kept for kept in idle if not which(use, kept)]
                if not self._idle[use]:
                    del self._idle[use]
            if not self._idle:
                self.filled.clear()
        return removed


@dataclass(slots=True, eq=False)
class WaitingPlace:
    """Somebody's place in a line."""

    node_id: int | None
    #: Whether it has sent requests that it would have to repeat.
    begun: bool
    #: Set when it may be its turn.
    woken: threading.Event = field(default_factory=threading.Event)
    #: Whether an association may have ended since its last attempt to open one.
    may_open: bool = True
    attempted_at: float = 0.0
    #: Its number among all processes; None before its first attempt.
    number: int | None = None


class WaitingLine:
    """The lines of all nodes, first come, first served; work that has begun stands before what has not.

    Safe from any thread.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._places: dict[int | None, list[WaitingPlace]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def place(self, node_id: int | None, *, begun: bool) -> Iterator[WaitingPlace]:
        """Stand in the line of a node within the block."""
        place = WaitingPlace(node_id, begun)
        with self._lock:
            places = self._places.setdefault(node_id, [])
            places.insert(sum(other.begun for other in places) if begun else len(places), place)
        try:
            yield place
        finally:
            with self._lock:
                places.remove(place)
                if not places:
                    del self._places[node_id]
            self.wake_first(node_id)

    def is_first(self, place: WaitingPlace) -> bool:
        """Return whether nobody in this process is to be served before."""
        with self._lock:
            return self._places[place.node_id][0] is place

    def enter(self, place: WaitingPlace, number: int | None) -> None:
        """Note the number that a place has among all processes."""
        with self._lock:
            place.number = number

    def begins_attempt(self, place: WaitingPlace) -> bool:
        """Return whether it is to attempt to open an association now.

        It has to get a number, or has the lowest: others cannot succeed before it does. An attempt reads the
        database; one that comes back does not let another one be opened, and is no reason for it.
        """
        now = self._monotonic()
        with self._lock:
            is_due = place.may_open or now - place.attempted_at >= POLL_INTERVAL_S
            begins = place.number is None or (is_due and place is self._lowest(place.node_id))
            if begins:
                place.may_open, place.attempted_at = False, now
            return begins

    def rest(self, place: WaitingPlace) -> None:
        """Note that it has waited without being woken: associations of other processes may have ended."""
        with self._lock:
            place.may_open = True

    def wake_first(self, node_id: int | None) -> None:
        """Let whoever is first take an idle association at once."""
        with self._lock:
            for place in self._places.get(node_id, [])[:1]:
                place.woken.set()

    def wake_to_open(self, node_id: int | None) -> None:
        """Let whoever has the lowest number try at once to open an association: one has ended."""
        with self._lock:
            place = self._lowest(node_id)
            if place is not None:
                place.may_open = True
                place.woken.set()

    def _lowest(self, node_id: int | None) -> WaitingPlace | None:
        numbered = (
            (place.number, place) for place in self._places.get(node_id, []) if place.number is not None
        )
        return min(numbered, key=itemgetter(0), default=(None, None))[1]
