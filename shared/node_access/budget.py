"""The budget of nodes over the whole cluster, kept in the database that all workers share."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.clock import Clock, utc_now
from shared.contract.envelope import new_id
from shared.database.models import Node, NodeBudget
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, NotNowError, Outcome, PeerError
from shared.errors import DatabaseAwayError
from shared.node_access.budget_port import Lease, Turn, Unlimited
from shared.node_access.leases import (
    LeaseAttempt,
    Leases,
    allowed,
    locked_budget,
    note_outage,
    outage_of,
    slowdown_of,
    standing,
)
from shared.node_access.limits import Bucket, Limits, parse_hours, parse_zone, refused
from shared.node_access.outage import DETAIL_LENGTH, Outage, failed

log = structlog.get_logger(__name__)

#: Seconds that work without a request so far waits in place; then it frees its thread for other work, and
#: loses its place. Longer than a turn of the pool (`TURN_S`), at whose end others get the association.
NEW_ASSOCIATION_WAIT_S, NEW_REQUEST_WAIT_S = 8.0, 3.0
#: Seconds that begun work waits in place: its requests so far would have to be repeated.
BEGUN_WAIT_S = 300.0

#: Seconds between two checks whether an association is free.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.25
#: Seconds that work waits in its own process only, where that has all associations of the node: one of them
#: mostly comes back by then. Later it stands in the line of all processes.
_AMONG_OURSELVES_S = 0.25
#: Seconds for which limits are cached.
_LIMITS_KEPT_S = 1.0
#: Seconds, from and until, after which work comes back that got no association.
_AGAIN_AFTER_S = (1.0, 3.0)


class ClusterBudget:
    """What nodes allow (`Budget`), for all work of this process."""

    def __init__(self, database: Database, worker: str, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock
        self._leases = Leases(database, worker, clock)
        self._unlimited = Unlimited()
        self._limits: dict[int, tuple[float, Limits | None]] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to renew what is held."""
        self._leases.start()

    def close(self) -> None:
        """Give everything back."""
        self._leases.stop()

    # Requests

    def take_request(self, node_id: int | None, cancellation: Cancellation | None, *, begun: bool) -> None:
        """Wait until one request may be sent.

        Raises:
            NotNowError: the wait would be too long, its hours forbid it now, or the node is paused.
            InterruptedWorkError: the work was stopped.
            DatabaseAwayError: the database is away.
        """
        limits = self._limits_of(node_id)
        if limits is None or node_id is None:
            return
        check_open(limits, self._clock())
        if limits.requests_per_minute is None:
            return
        longest_s = BEGUN_WAIT_S if begun else NEW_REQUEST_WAIT_S
        wait_s = self._reserve(node_id, limits, limits.requests_per_minute, longest_s)
        if wait_s > 0:
            _sleep(wait_s, cancellation)
            check_open(limits, self._clock())

    def _reserve(self, node_id: int, limits: Limits, rate: int, longest_s: float) -> float:
        now = self._clock()
        with self._database.write() as session:
            row = locked_budget(session, node_id, now)
            bucket, wait_s = _bucket(row).reserve(rate, now)
            if wait_s > longest_s:
                note = f"{limits.name} takes {rate} {'request' if rate == 1 else 'requests'} a minute"
                raise NotNowError(now + timedelta(seconds=wait_s), note, whole_node=True)
            row.tokens, row.tokens_at = bucket.tokens, bucket.at
        return wait_s

    def give_back_request(self, node_id: int | None) -> None:
        """Note that a request was not sent."""
        try:
            limits = self._limits_of(node_id)
            if limits is None or node_id is None or limits.requests_per_minute is None:
                return
            now = self._clock()
            with self._database.write() as session:
                row = locked_budget(session, node_id, now)
                bucket = _bucket(row).give_back(limits.requests_per_minute, now)
                row.tokens, row.tokens_at = bucket.tokens, bucket.at
        except DatabaseAwayError as error:
            log.debug("request not given back", error=str(error))

    # Associations

    @contextmanager
    def turn(self, node_id: int | None, cancellation: Cancellation | None, *, begun: bool) -> Iterator[Turn]:
        """Wait for an association within the block; a lease that was given outlasts it.

        Raises:
            DatabaseAwayError: the database is away.
        """
        limits = self._limits_of(node_id)
        if limits is None or node_id is None:
            with self._unlimited.turn(node_id, cancellation, begun=begun) as free:
                yield free
            return
        longest_s = BEGUN_WAIT_S if begun else NEW_ASSOCIATION_WAIT_S
        turn = _Turn(self._leases, node_id, limits, self._clock, cancellation, longest_s)
        try:
            yield turn
        finally:
            turn.end()

    def give_back(self, lease: Lease) -> None:
        """Note that an association has ended."""
        if lease.node_id is not None:
            self._leases.drop(lease.token)

    def is_wanted(self, lease: Lease) -> bool:
        """Return whether others wait for this association, or it is one too many by now."""
        return lease.node_id is not None and self._leases.is_wanted(lease.node_id, lease.token)

    def refused(self, lease: Lease, error: PeerError) -> None:
        """Lower what is allowed for a while, over the whole cluster: the node refused this association.

        A node that rejects the only one is tried again as one that was not reached.
        """
        if lease.node_id is None:
            return
        now = self._clock()
        try:
            with self._database.write() as session:
                limit = session.get_one(Node, lease.node_id).max_associations
                row = locked_budget(session, lease.node_id, now)
                others = standing(session, lease.node_id, now) - 1
                slowdown = refused(slowdown_of(row), limit, others, now)
                row.slowed_to, row.slowed_at = slowdown.associations, slowdown.at
                is_only = others <= 0 and error.outcome is Outcome.REJECTED
                outage = None
                if is_only:
                    outage = outage_after(session, lease.node_id, error, since=lease.since, clock=self._clock)
                elif lease.tries:
                    note_outage(row, None)
                now_allowed = allowed(session, row, now)
        except DatabaseAwayError as failure:
            log.warning("congestion not noted", node_id=lease.node_id, error=str(failure))
        else:
            if outage is not None:
                error.retry_at = outage.next_try_at
            log.warning("node is congested", node_id=lease.node_id, associations=now_allowed)

    # Outages

    def unreachable(self, lease: Lease, error: PeerError) -> None:
        """Note that the node was not reached: all wait until the next try, which one of them makes."""
        if lease.node_id is None:
            return
        try:
            with self._database.write() as session:
                outage = outage_after(session, lease.node_id, error, since=lease.since, clock=self._clock)
        except DatabaseAwayError as failure:
            log.warning("outage not noted", node_id=lease.node_id, error=str(failure))
        else:
            error.retry_at = outage.next_try_at
            log.warning("node not reached", node_id=lease.node_id, error=error.code, failures=outage.failures)

    def reached(self, lease: Lease) -> None:
        """Note that a node that was away is back."""
        if lease.node_id is None or not lease.tries:
            return
        try:
            with self._database.write() as session:
                note_outage(locked_budget(session, lease.node_id, self._clock()), None)
        except DatabaseAwayError as error:
            log.warning("end of an outage not noted", node_id=lease.node_id, error=str(error))
        else:
            log.info("node reached again", node_id=lease.node_id)

    def blown(self, lease: Lease, error: NotNowError) -> None:
        """Note that the fuse of the node has blown: nobody sends it anything until then."""
        if lease.node_id is None:
            return
        try:
            with self._database.write() as session:
                row = locked_budget(session, lease.node_id, self._clock())
                row.fuse_blown_until, row.fuse_note = error.until, error.note[:DETAIL_LENGTH]
        except DatabaseAwayError as away:
            log.warning("fuse not noted", node_id=lease.node_id, error=str(away))

    # Limits

    def _limits_of(self, node_id: int | None) -> Limits | None:
        if node_id is None:
            return None
        with self._lock:
            read_at, limits = self._limits.get(node_id, (0.0, None))
        if read_at and time.monotonic() - read_at < _LIMITS_KEPT_S:
            return limits
        with self._database.read_outside() as session:
            node, budget = session.get(Node, node_id), session.get(NodeBudget, node_id)
        limits = limits_of(node, budget) if node is not None else None
        with self._lock:
            self._limits[node_id] = time.monotonic(), limits
        return limits


def outage_after(session: Session, node_id: int, error: PeerError, *, since: float, clock: Clock) -> Outage:
    """Note in the caller's transaction that a try of a node has failed; return what follows.

    `since`: the monotonic time at which it was begun.
    """
    row = locked_budget(session, node_id, clock())
    # Read with the lock: a time from before the wait for it would put the try before the last one.
    now, tried_for_s = clock(), time.monotonic() - since
    away = select(func.count()).where(NodeBudget.away_failures > 0)
    outage = failed(
        outage_of(row),
        error,
        began=now - timedelta(seconds=tried_for_s),
        now=now,
        jitter=random.random(),  # noqa: S311 - spreads tries, guards nothing
        others_away=session.scalar(away) or 0,
    )
    note_outage(row, outage)
    return outage


class _Turn:
    """One wait for an association."""

    def __init__(
        self,
        leases: Leases,
        node_id: int,
        limits: Limits,
        clock: Clock,
        cancellation: Cancellation | None,
        longest_s: float,
    ) -> None:
        self._leases = leases
        self._node_id = node_id
        self._limits = limits
        self._clock = clock
        self._cancellation = cancellation
        self._began = time.monotonic()
        self._until = self._began + longest_s
        self._pause_s = _FIRST_PAUSE_S
        self._token = new_id()
        self._given = False
        self.number: int | None = None

    def attempt(self) -> Lease | None:
        """Return a lease if there is one now.

        Raises:
            AwayError: the node was not reached shortly before, or somebody else tries it.
        """
        if self.number is None and self._waits_among_ourselves():
            return None
        attempt, self.number = self._leases.attempt(self._node_id, self._token, self.number)
        if attempt is LeaseAttempt.WAITS:
            return None
        self._given = True
        return Lease(self._token, self._node_id, time.monotonic(), tries=attempt is LeaseAttempt.TRIES)

    def _waits_among_ourselves(self) -> bool:
        if time.monotonic() - self._began >= _AMONG_OURSELVES_S:
            return False
        return self._leases.held(self._node_id) >= self._limits.max_associations

    def pause(self, woken: threading.Event) -> bool:
        """Wait a little, at most until `woken` is set; return whether it was.

        Raises:
            NotNowError: it was waited long enough.
            InterruptedWorkError: the work was stopped.
        """
        if time.monotonic() >= self._until:
            after_s = random.uniform(*_AGAIN_AFTER_S)  # noqa: S311 - spreads tries, guards nothing
            raise NotNowError(self._clock() + timedelta(seconds=after_s), _note(self._limits))
        is_woken = woken.wait(self._pause_s)
        if self._cancellation is not None and self._cancellation.requested:
            raise InterruptedWorkError(self._cancellation.reason)
        self._pause_s = min(self._pause_s * 1.5, _LONGEST_PAUSE_S)
        return is_woken

    def end(self) -> None:
        """Leave the line, unless a lease was given."""
        if not self._given:
            self._leases.drop(self._token)


def limits_of(node: Node, budget: NodeBudget | None = None) -> Limits:
    """Return the limits of a node, with the state of its fuse if its budget is given."""
    return Limits(
        name=node.name,
        max_associations=node.max_associations,
        requests_per_minute=node.requests_per_minute,
        windows=parse_hours(node.hours),
        zone=parse_zone(node.time_zone),
        paused=str(node.pause or ""),
        blown_until=budget.fuse_blown_until if budget is not None else None,
        blown_note=budget.fuse_note if budget is not None else "",
    )


def _note(limits: Limits) -> str:
    if limits.max_associations == 1:
        return f"waits for the one association of {limits.name}"
    return f"waits for one of {limits.max_associations} associations of {limits.name}"


def check_open(limits: Limits, now: datetime) -> None:
    """Check that a node takes requests now.

    Raises:
        NotNowError: it is paused, its fuse has blown, or its hours forbid it.
    """
    if limits.paused:
        raise NotNowError(now, f"the node {limits.name} is {limits.paused}")
    if limits.blown_until is not None and now < limits.blown_until:
        raise NotNowError(limits.blown_until, limits.blown_note, whole_node=True)
    opening = limits.closed_until(now)
    if opening is not None:
        note = f"{limits.name} takes requests from {limits.on_the_wall(opening)}"
        raise NotNowError(opening, note, whole_node=True)


def _bucket(row: NodeBudget) -> Bucket:
    return Bucket(row.tokens, row.tokens_at)


def _sleep(seconds: float, cancellation: Cancellation | None) -> None:
    if cancellation is None:
        time.sleep(seconds)
    elif cancellation.wait(seconds):
        raise InterruptedWorkError(cancellation.reason)
