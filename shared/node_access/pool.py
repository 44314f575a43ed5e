"""Associations kept open between tasks of one node that follow each other, within what the node allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakSet

from shared.dicom.association.base import Association
from shared.dicom.association.c_find import open_find_association
from shared.dicom.association.c_get import open_get_association
from shared.dicom.association.c_move import open_move_association
from shared.dicom.association.pynetdicom_association import Peer, Timeouts, open_pynetdicom_association
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import NotNowError, PeerError
from shared.dicom.sop_classes import STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE
from shared.node_access.budget import Budget, Lease, Unlimited

#: An association that nobody used for so long is released.
IDLE_S = 5.0

#: An association that others wait for is handed over after so long, at the end of a task.
TURN_S = 5.0

#: How often idle associations are looked for; one that others wait for is released then.
_POLL_INTERVAL_S = 0.25

Key = tuple[Peer, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Kept:
    association: Association
    lease: Lease
    #: Who used it last, and until when.
    user: Cancellation | None = None
    since: float = 0.0


class AssociationPool:
    """Hands out associations, each to one thread at a time, and keeps them for a short while."""

    def __init__(self, timeouts: Timeouts, budget: Budget | None = None) -> None:
        self._timeouts = timeouts
        self._budget: Budget = budget if budget is not None else Unlimited()
        self._idle: dict[Key, list[_Kept]] = {}
        self._begun: WeakSet[Cancellation] = WeakSet()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._reaper = threading.Thread(target=self._reap, name="idle-associations", daemon=True)
        self._reaper.start()

    @contextmanager
    def association(
        self, peer: Peer, abstract_syntaxes: Sequence[str], cancellation: Cancellation | None = None
    ) -> Iterator[Association]:
        """Give an association for the time of the block; a broken one is not given again.

        After that of C-GET, `abstract_syntaxes` names the storage classes of what is to be fetched.

        Raises:
            PeerError: it does not stand.
            NotNowError: the node's limits do not allow it now.
            InterruptedWorkError: stopping was asked for.
        """
        key = (peer, tuple(abstract_syntaxes))
        begun = self._has_begun(cancellation)
        self._budget.take_request(peer.node_id, cancellation, begun=begun)
        try:
            kept = self._obtain(key, cancellation, begun=begun)
        except BaseException:
            self._budget.give_back_request(peer.node_id)
            raise
        self._begin(cancellation)
        kept.association.before_request = self._meter(peer, cancellation)
        try:
            yield kept.association
        except NotNowError:
            self._give_back(key, kept, cancellation)
            raise
        except BaseException:
            self._end(kept)
            raise
        self._give_back(key, kept, cancellation)

    @property
    def timeouts(self) -> Timeouts:
        """The time-outs of its associations."""
        return self._timeouts

    def close(self) -> None:
        """Release all idle associations, and those given back from now on."""
        self._closing.set()
        self._reaper.join()
        for kept in self._remove(lambda _kept: True):
            self._end(kept)

    # Requests

    def _has_begun(self, cancellation: Cancellation | None) -> bool:
        with self._lock:
            return cancellation is not None and cancellation in self._begun

    def _begin(self, cancellation: Cancellation | None) -> None:
        if cancellation is not None:
            with self._lock:
                self._begun.add(cancellation)

    def _meter(self, peer: Peer, cancellation: Cancellation | None) -> Callable[[], None]:
        """Return what allows each request of a block; the first one was allowed with the association."""
        allowed = iter((True,))

        def before_request() -> None:
            if not next(allowed, False):
                self._budget.take_request(peer.node_id, cancellation, begun=True)

        return before_request

    # Associations

    def _obtain(self, key: Key, cancellation: Cancellation | None, *, begun: bool) -> _Kept:
        node_id = key[0].node_id
        with self._budget.turn(node_id, cancellation, begun=begun) as turn:
            while True:
                kept = self._take(key, cancellation)
                if kept is not None:
                    return kept
                lease = turn.attempt()
                if lease is None and self._end_others(key):
                    lease = turn.attempt()
                if lease is not None:
                    return self._open(key, lease, cancellation)
                turn.pause()

    def _open(self, key: Key, lease: Lease, cancellation: Cancellation | None) -> _Kept:
        try:
            return _Kept(self._associate(key, cancellation), lease)
        except BaseException as error:
            if isinstance(error, PeerError) and error.congested:
                self._budget.refused(lease)
            self._budget.give_back(lease)
            raise

    def _associate(self, key: Key, cancellation: Cancellation | None) -> Association:
        peer, abstract_syntaxes = key
        if abstract_syntaxes == (STUDY_ROOT_FIND,):
            return open_find_association(peer, self._timeouts, cancellation=cancellation)
        if abstract_syntaxes == (STUDY_ROOT_MOVE,):
            return open_move_association(peer, self._timeouts, cancellation=cancellation)
        if abstract_syntaxes[0] == STUDY_ROOT_GET:
            return open_get_association(
                peer, abstract_syntaxes[1:], self._timeouts, cancellation=cancellation
            )
        return open_pynetdicom_association(peer, abstract_syntaxes, self._timeouts, cancellation=cancellation)

    def _take(self, key: Key, cancellation: Cancellation | None) -> _Kept | None:
        """Return an idle association; one whose turn is over goes to those who wait."""
        while True:
            with self._lock:
                idle = self._idle.get(key, [])
                if not idle:
                    return None
                kept = idle.pop()
            if kept.association.alive and not self._is_over(kept, cancellation):
                return kept
            self._end(kept)

    def _is_over(self, kept: _Kept, cancellation: Cancellation | None) -> bool:
        held_s = time.monotonic() - kept.lease.since
        return kept.user is not cancellation and held_s >= TURN_S and self._budget.is_wanted(kept.lease)

    def _end_others(self, key: Key) -> bool:
        """Release idle associations of the same node for other services; tell whether there were any."""
        node_id = key[0].node_id
        others = self._remove(lambda kept: kept.lease.node_id == node_id)
        for kept in others:
            self._end(kept)
        return bool(others)

    def _end(self, kept: _Kept) -> None:
        try:
            kept.association.release()
        finally:
            self._budget.give_back(kept.lease)

    def _give_back(self, key: Key, kept: _Kept, cancellation: Cancellation | None) -> None:
        if self._closing.is_set() or not kept.association.alive:
            self._end(kept)
            return
        with self._lock:
            idle = _Kept(kept.association, kept.lease, cancellation, time.monotonic())
            self._idle.setdefault(key, []).append(idle)

    # Idle ones

    def _reap(self) -> None:
        while not self._closing.wait(_POLL_INTERVAL_S):
            self._end_resting()

    def _end_resting(self) -> None:
        now = time.monotonic()
        with self._lock:
            resting = [
                one for idle in self._idle.values() for one in idle if now - one.since >= _POLL_INTERVAL_S
            ]
        over = [one for one in resting if now - one.since >= IDLE_S or self._is_in_the_way(one)]
        for kept in self._remove(lambda kept: any(kept is one for one in over)):
            self._end(kept)

    def _is_in_the_way(self, kept: _Kept) -> bool:
        """Tell whether it takes a place for nothing: the peer has ended it, or others wait for it."""
        return not kept.association.alive or self._budget.is_wanted(kept.lease)

    def _remove(self, which: Callable[[_Kept], bool]) -> list[_Kept]:
        removed: list[_Kept] = []
        with self._lock:
            for key, idle in list(self._idle.items()):
                removed += [one for one in idle if which(one)]
                self._idle[key] = [one for one in idle if not which(one)]
                if not self._idle[key]:
                    del self._idle[key]
        return removed
