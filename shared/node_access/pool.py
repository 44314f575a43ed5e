"""Associations kept open between tasks of one node that follow each other, within what the node allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakSet

from shared.dicom.association.base import Association
from shared.dicom.association.c_echo import EchoAssociation, open_echo_association
from shared.dicom.association.c_find import FindAssociation, open_find_association
from shared.dicom.association.c_move import MoveAssociation, open_move_association
from shared.dicom.association.fuse import FuseBlownError
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, NotNowError, PeerError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.relay.c_get import GetAssociation, HeaderGetAssociation, open_get_association
from shared.node_access.archive import FetchSession, FindSession
from shared.node_access.budget_port import Budget, Lease, Turn, Unlimited
from shared.node_access.kept_associations import (
    POLL_INTERVAL_S,
    AssociationT,
    IdleAssociations,
    Kept,
    Use,
    WaitingLine,
    WaitingPlace,
)
from shared.node_access.outage import is_outage
from shared.tracing.spans import span

if TYPE_CHECKING:
    from shared.dicomweb.sessions import WebSessions

#: Seconds after which an unused association is released.
IDLE_S = 5.0

#: Seconds after which an association that others wait for is handed over, at the end of a task.
TURN_S = 5.0

#: Longest sleep while there are no idle associations.
_REST_S = 5.0


class AssociationPool:
    """Lends associations, each to one thread at a time, and keeps them for a short while."""

    def __init__(self, timeouts: Timeouts, budget: Budget | None = None) -> None:
        self._timeouts = timeouts
        self._budget: Budget = budget if budget is not None else Unlimited()
        self._idle = IdleAssociations()
        self._begun: WeakSet[Cancellation] = WeakSet()
        self._line = WaitingLine()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._reaper = threading.Thread(target=self._reap, name="idle-associations", daemon=True)
        self._reaper.start()

    def find(
        self, peer: Peer, cancellation: Cancellation | None = None
    ) -> AbstractContextManager[FindSession]:
        """Lend an association for C-FIND for the time of the block; a broken one is not lent again.

        A peer with DICOMweb gets a session for QIDO-RS instead.

        Raises:
            PeerError: it is not established.
            NotNowError: the node's limits do not allow it now.
            InterruptedWorkError: the work was stopped.
        """
        if peer.web is not None:
            web = self._web
            return self._lend(Use(web.find_session, peer), lambda: web.find(peer, cancellation), cancellation)
        return self._lend(
            Use(FindAssociation, peer),
            lambda: open_find_association(peer, self._timeouts, cancellation=cancellation),
            cancellation,
        )

    def move(
        self, peer: Peer, cancellation: Cancellation | None = None
    ) -> AbstractContextManager[MoveAssociation]:
        """Lend an association for C-MOVE, as `find` does for C-FIND.

        Raises:
            PeerError: it is not established.
            NotNowError: the node's limits do not allow it now.
            InterruptedWorkError: the work was stopped.
        """
        return self._lend(
            Use(MoveAssociation, peer),
            lambda: open_move_association(peer, self._timeouts, cancellation=cancellation),
            cancellation,
        )

    def echo(self, peer: Peer, cancellation: Cancellation | None = None) -> None:
        """Send one C-ECHO over an association of its own; whatever the status, the peer responds.

        Raises:
            PeerError: there is no association, or no response.
            NotNowError: the node's limits do not allow it now.
            InterruptedWorkError: the work was stopped.
        """
        lent = self._lend(
            Use(EchoAssociation, peer),
            lambda: open_echo_association(peer, self._timeouts, cancellation=cancellation),
            cancellation,
        )
        with lent as association:
            association.c_echo()
            association.release()

    def get(
        self, peer: Peer, storage_classes: Sequence[str], cancellation: Cancellation | None = None
    ) -> AbstractContextManager[FetchSession]:
        """Lend an association for C-GET of objects of these classes, as `find` does for C-FIND.

        A peer with DICOMweb gets a session for WADO-RS instead.

        Raises:
            PeerError: it is not established, or objects could not come over it.
            NotNowError: the node's limits do not allow it now.
            InterruptedWorkError: the work was stopped.
        """
        return self._fetch(peer, storage_classes, cancellation, headers=False)

    def headers(
        self, peer: Peer, storage_classes: Sequence[str], cancellation: Cancellation | None = None
    ) -> AbstractContextManager[FetchSession]:
        """Lend an association for C-GET without bulk data, as `get` does for whole objects.

        A peer with DICOMweb gets a session for metadata by WADO-RS instead.

        Raises:
            PeerError: it is not established, or headers could not come over it.
            NotNowError: the node's limits do not allow it now.
            InterruptedWorkError: the work was stopped.
        """
        return self._fetch(peer, storage_classes, cancellation, headers=True)

    def _fetch(
        self, peer: Peer, storage_classes: Sequence[str], cancellation: Cancellation | None, *, headers: bool
    ) -> AbstractContextManager[FetchSession]:
        if peer.web is not None:
            web = self._web
            session = web.header_session if headers else web.fetch_session
            return self._lend(
                Use(session, peer), lambda: web.fetch(session, peer, cancellation), cancellation
            )
        kind = HeaderGetAssociation if headers else GetAssociation
        return self._lend(
            Use(kind, peer, tuple(storage_classes)),
            lambda: open_get_association(
                peer, storage_classes, self._timeouts, kind=kind, cancellation=cancellation
            ),
            cancellation,
        )

    @contextmanager
    def _lend(
        self,
        use: Use[AssociationT],
        associate: Callable[[], AssociationT],
        cancellation: Cancellation | None,
    ) -> Iterator[AssociationT]:
        peer = use.peer
        about: dict[str, str | int] = {"server.address": peer.host, "server.port": peer.port}
        if peer.node_id is not None:
            about["doseqr.node.id"] = peer.node_id
        with span(f"association {use.service.operation}", about, to_peer=True) as association:
            began = time.monotonic()
            kept = self._lent(use, associate, cancellation)
            association.set("doseqr.association.waited_s", round(time.monotonic() - began, 3))
            try:
                yield kept.association
            except NotNowError:
                self._give_back(use, kept, cancellation)
                raise
            except BaseException:
                self._end(kept)
                raise
            self._give_back(use, kept, cancellation)

    def _lent(
        self,
        use: Use[AssociationT],
        associate: Callable[[], AssociationT],
        cancellation: Cancellation | None,
    ) -> Kept[AssociationT]:
        peer = use.peer
        begun = self._has_begun(cancellation)
        _refuse_stopped(cancellation)
        self._budget.take_request(peer.node_id, cancellation, begun=begun)
        try:
            kept = self._obtain(use, associate, cancellation, begun=begun)
        except BaseException:
            self._budget.give_back_request(peer.node_id)
            raise
        self._begin(cancellation)
        kept.association.before_request = self._meter(peer, cancellation)
        return kept

    @property
    def timeouts(self) -> Timeouts:
        """The time-outs of its associations."""
        return self._timeouts

    @cached_property
    def _web(self) -> WebSessions:
        # Its libraries are loaded where a node speaks DICOMweb, and nowhere else.
        from shared.dicomweb.sessions import WebSessions

        return WebSessions(self._timeouts)

    def close(self) -> None:
        """Release all idle associations, and those given back from now on."""
        self._closing.set()
        self._idle.filled.set()
        self._reaper.join()
        for kept in self._idle.remove(lambda _use, _kept: True):
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
            _refuse_stopped(cancellation)
            if not next(allowed, False):
                self._budget.take_request(peer.node_id, cancellation, begun=True)

        return before_request

    # Associations

    def _obtain(
        self,
        use: Use[AssociationT],
        associate: Callable[[], AssociationT],
        cancellation: Cancellation | None,
        *,
        begun: bool,
    ) -> Kept[AssociationT]:
        node_id = use.peer.node_id
        with (
            self._budget.turn(node_id, cancellation, begun=begun) as turn,
            self._line.place(node_id, begun=begun) as place,
        ):
            got = self._wait(use, cancellation, turn, place)
        return got if isinstance(got, Kept) else self._open(associate, got)

    def _wait(
        self, use: Use[AssociationT], cancellation: Cancellation | None, turn: Turn, place: WaitingPlace
    ) -> Kept[AssociationT] | Lease:
        """Wait for an idle association, or for the right to open one."""
        while True:
            place.woken.clear()
            is_first = self._line.is_first(place)
            kept = self._take(use, cancellation) if is_first else None
            if kept is not None:
                return kept
            lease = turn.attempt() if self._line.begins_attempt(place) else None
            self._line.enter(place, turn.number)
            if lease is None and is_first and self._end_others(use):
                lease = turn.attempt()
            if lease is not None:
                return lease
            if not turn.pause(place.woken):
                self._line.rest(place)

    def _open(self, associate: Callable[[], AssociationT], lease: Lease) -> Kept[AssociationT]:
        try:
            kept = Kept(associate(), lease)
        except BaseException as error:
            if isinstance(error, FuseBlownError):
                self._budget.blown(lease, error)
            elif isinstance(error, PeerError):
                self._note(lease, error)
            self._budget.give_back(lease)
            raise
        if lease.tries:
            self._budget.reached(lease)
        return kept

    def _note(self, lease: Lease, error: PeerError) -> None:
        if is_outage(error):
            self._budget.unreachable(lease, error)
        elif error.congested:
            self._budget.refused(lease, error)
        elif lease.tries:
            self._budget.reached(lease)

    def _take(self, use: Use[AssociationT], cancellation: Cancellation | None) -> Kept[AssociationT] | None:
        """Return an idle association; one whose turn is over goes to those who wait."""
        while True:
            kept = self._idle.pop(use)
            if kept is None:
                return None
            if kept.association.alive and not self._is_over(kept, cancellation):
                return kept
            self._end(kept)

    def _is_over(self, kept: Kept[Association], cancellation: Cancellation | None) -> bool:
        held_s = time.monotonic() - kept.lease.since
        return kept.user is not cancellation and held_s >= TURN_S and self._budget.is_wanted(kept.lease)

    def _end_others(self, use: Use[AssociationT]) -> bool:
        """Release idle associations of a node for other services; return whether there were any.

        One of the same use may have come back just now: it is to be taken, not ended.
        """
        node_id = use.peer.node_id
        others = self._idle.remove(lambda kept_for, kept: kept.lease.node_id == node_id and kept_for != use)
        for kept in others:
            self._end(kept)
        return bool(others)

    def _end(self, kept: Kept[Association]) -> None:
        try:
            kept.association.release()
        finally:
            self._budget.give_back(kept.lease)
            self._line.wake_to_open(kept.lease.node_id)

    def _give_back(
        self, use: Use[AssociationT], kept: Kept[AssociationT], cancellation: Cancellation | None
    ) -> None:
        stopped = cancellation is not None and cancellation.requested
        if self._closing.is_set() or stopped or not kept.association.alive:
            self._end(kept)
            return
        self._idle.add(use, kept, cancellation)
        self._line.wake_first(use.peer.node_id)

    # Idle ones

    def _reap(self) -> None:
        while not self._closing.wait(POLL_INTERVAL_S):
            if self._idle.filled.wait(_REST_S):
                self._end_resting()

    def _end_resting(self) -> None:
        now = time.monotonic()
        over = [
            kept
            for kept in self._idle.resting(POLL_INTERVAL_S)
            if now - kept.since >= IDLE_S or self._is_in_the_way(kept)
        ]
        for kept in self._idle.remove(lambda _use, kept: any(kept is ended for ended in over)):
            self._end(kept)

    def _is_in_the_way(self, kept: Kept[Association]) -> bool:
        """Return whether it takes a place for nothing: the peer has ended it, or others wait for it."""
        return not kept.association.alive or self._budget.is_wanted(kept.lease)


def _refuse_stopped(cancellation: Cancellation | None) -> None:
    """Send no request for work that is to stop."""
    if cancellation is not None and cancellation.requested:
        raise InterruptedWorkError(cancellation.reason)
