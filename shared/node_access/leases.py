"""Leases in the database: who holds an association to a node, and who waits for one.

A row lives as long as its process renews it: what a dead process held is free again within a minute. Who has
to wait keeps a row as well, so that whoever came first is served first.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import Enum

import structlog
from sqlalchemy import Integer, Select, bindparam, delete, func, or_, select, update
from sqlalchemy.orm import Session

from shared.clock import Clock
from shared.database.models import Node, NodeBudget, NodeLease
from shared.database.session import Database
from shared.database.upsert import insert_missing
from shared.dicom.errors import Outcome
from shared.errors import DatabaseAwayError
from shared.node_access.limits import Slowdown
from shared.node_access.outage import Outage
from shared.process.periodic import Repeating

log = structlog.get_logger(__name__)

#: Seconds without renewal after which a row belongs to a dead process.
LEASE = timedelta(seconds=20)
RENEW_EVERY_S = 5.0
#: For how long nobody else tries a node that somebody tries; then that process is thought dead.
TRY_LEASE = timedelta(seconds=30)


def _wanted() -> Select[bool, int, int, int, int | None, datetime | None]:
    now = bindparam("now", type_=NodeLease.until.type)
    alive = select(func.count()).where(NodeLease.node_id == bindparam("of_node"), NodeLease.until >= now)
    own = select(NodeLease.id).where(NodeLease.token == bindparam("of_token")).exists()
    waiting, held = (alive.where(NodeLease.held.is_(held)).scalar_subquery() for held in (False, True))
    return (
        select(own, waiting, held, Node.max_associations, NodeBudget.slowed_to, NodeBudget.slowed_at)
        .join(NodeBudget, NodeBudget.node_id == Node.id)
        .where(Node.id == bindparam("of_node"))
    )


def _in_line_before() -> Select[int, int]:
    now, number = bindparam("now", type_=NodeLease.until.type), bindparam("number", type_=Integer)
    before = or_(NodeLease.held.is_(True), NodeLease.id < number)
    mine = (NodeLease.node_id == Node.id, NodeLease.until >= now)
    held_or_before = select(func.count()).where(*mine, before).correlate(Node).scalar_subquery()
    return select(held_or_before, Node.max_associations).where(Node.id == bindparam("of_node"))


#: One statement each, made once: they run for each idle association, and whenever a task takes one.
_WANTED = _wanted()
_IN_LINE_BEFORE = _in_line_before()
#: Behind every number in line that there is: they are 32 bits wide.
_LAST = 2**31 - 1


class LeaseAttempt(Enum):
    """What came of an attempt to take an association."""

    WAITS = "waits"
    HOLDS = "holds"
    #: It holds one to try a node that is away.
    TRIES = "tries"


class Leases:
    """The leases of this process, renewed by a thread of its own."""

    def __init__(self, database: Database, worker: str, clock: Clock) -> None:
        self._database = database
        self._worker = worker
        self._clock = clock
        self._tokens: set[str] = set()
        #: The nodes of associations that this process has, by token.
        self._held: dict[str, int] = {}
        #: Given back while the database was away.
        self._given_back: set[str] = set()
        self._lock = threading.Lock()
        self._renewing = Repeating("node leases", RENEW_EVERY_S, self.renew)

    def start(self) -> None:
        """Begin to renew."""
        self._renewing.start()

    def stop(self) -> None:
        """End it; what is still held is given back."""
        self._renewing.stop()
        with self._lock:
            left = list(self._tokens)
        for token in left:
            self.drop(token)

    def attempt(self, node_id: int, token: str, number: int | None = None) -> tuple[LeaseAttempt, int]:
        """Take an association if one is free and nobody was here before; otherwise wait in line.

        Returns what came of it, and the number in the line, which the next attempt is to name.

        Raises:
            AwayError: the node was not reached shortly before, or somebody else tries it.
            DatabaseAwayError: the database is away.
        """
        if number is not None and not self._seems_free(node_id, number):
            return LeaseAttempt.WAITS, number
        now = self._clock()
        with self._database.write() as session:
            budget = locked_budget(session, node_id, now)
            outage = outage_of(budget)
            _refuse_outage(outage, now)
            session.execute(delete(NodeLease).where(NodeLease.node_id == node_id, NodeLease.until < now))
            own = session.scalars(select(NodeLease).where(NodeLease.token == token)).one_or_none()
            free = _is_free(session, budget, own.id if own is not None else None, now)
            if own is None:
                own = NodeLease(token=token, node_id=node_id, worker=self._worker)
                session.add(own)
            own.held, own.until = free, now + LEASE
            session.flush()
            number = own.id
            if free and outage is not None:
                budget.away_trying_until = now + TRY_LEASE
        with self._lock:
            self._tokens.add(token)
            if free:
                self._held[token] = node_id
        if not free:
            return LeaseAttempt.WAITS, number
        return LeaseAttempt.TRIES if outage is not None else LeaseAttempt.HOLDS, number

    def held(self, node_id: int) -> int:
        """Return how many associations of a node this process has."""
        with self._lock:
            return sum(1 for held in self._held.values() if held == node_id)

    def _seems_free(self, node_id: int, number: int) -> bool:
        """Read without a lock: most reads of those who wait find nothing."""
        with self._database.read_outside() as session:
            budget = session.get(NodeBudget, node_id)
            return budget is None or _is_free(session, budget, number, self._clock())

    def drop(self, token: str) -> None:
        """Give an association or a place in line back; where the database is away, with the next renewal."""
        with self._lock:
            if token not in self._tokens:
                return
            self._tokens.remove(token)
            self._held.pop(token, None)
        try:
            with self._database.write() as session:
                session.execute(delete(NodeLease).where(NodeLease.token == token))
        except DatabaseAwayError as error:
            with self._lock:
                self._given_back.add(token)
            log.warning("lease not given back yet", error=str(error))

    def is_wanted(self, node_id: int, token: str) -> bool:
        """Return whether others wait, more are held than allowed, or this one has run out."""
        now = self._clock()
        try:
            with self._database.read_outside() as session:
                values = {"of_node": node_id, "of_token": token, "now": now}
                row = session.execute(_WANTED, values).one_or_none()
        except DatabaseAwayError:
            return False
        if row is None:
            return True
        has_own, others, taken, limit, slowed_to, slowed_at = row
        return not has_own or others > 0 or taken > _allowed(limit, _slowdown(slowed_to, slowed_at), now)

    def renew(self) -> None:
        """Renew all rows of this process once, and take away those that it could not give back.

        Raises:
            DatabaseAwayError: the database is away.
        """
        with self._lock:
            tokens, given_back = list(self._tokens), list(self._given_back)
        if not tokens and not given_back:
            return
        until = self._clock() + LEASE
        with self._database.write() as session:
            session.execute(update(NodeLease).where(NodeLease.token.in_(tokens)).values(until=until))
            session.execute(delete(NodeLease).where(NodeLease.token.in_(given_back)))
        with self._lock:
            self._given_back.difference_update(given_back)


def locked_budget(session: Session, node_id: int, now: datetime) -> NodeBudget:
    """Return the budget of a node, locked until the transaction ends (SQLite: the whole database is)."""
    budget = session.get(NodeBudget, node_id, with_for_update=True, populate_existing=True)
    if budget is not None:
        return budget
    insert_missing(session, NodeBudget, [{"node_id": node_id, "tokens": 1.0, "tokens_at": now}])
    return session.get_one(NodeBudget, node_id, with_for_update=True, populate_existing=True)


def outage_of(budget: NodeBudget) -> Outage | None:
    """Return since when the node could not be reached, if it could not."""
    if not budget.away_failures or budget.away_failed_at is None or budget.away_next_try_at is None:
        return None
    return Outage(
        budget.away_failures,
        budget.away_failed_at,
        budget.away_next_try_at,
        Outcome(budget.away_outcome),
        budget.away_detail,
        budget.away_trying_until,
    )


def note_outage(budget: NodeBudget, outage: Outage | None) -> None:
    """Keep that a node could not be reached; None: it was."""
    budget.away_failures = outage.failures if outage is not None else 0
    budget.away_failed_at = outage.failed_at if outage is not None else None
    budget.away_next_try_at = outage.next_try_at if outage is not None else None
    budget.away_outcome = outage.outcome.value if outage is not None else ""
    budget.away_detail = outage.detail if outage is not None else ""
    budget.away_trying_until = None


def forget_outages(session: Session, node_ids: Iterable[int]) -> None:
    """Let nodes be tried at once that could not be reached: they responded, or have another address."""
    bad = NodeBudget.away_failures > 0, NodeBudget.fuse_blown_until.is_not(None)
    away = NodeBudget.node_id.in_(tuple(node_ids)), or_(*bad)
    session.execute(update(NodeBudget).where(*away).values(away_failures=0, fuse_blown_until=None))


def _refuse_outage(outage: Outage | None, now: datetime) -> None:
    retry_at = outage.retry_at(now) if outage is not None else None
    if outage is not None and retry_at is not None:
        raise outage.error(retry_at)


def slowdown_of(budget: NodeBudget) -> Slowdown | None:
    """Return how the node stood associations, if it has refused some."""
    return _slowdown(budget.slowed_to, budget.slowed_at)


def _slowdown(slowed_to: int | None, slowed_at: datetime | None) -> Slowdown | None:
    if slowed_to is None or slowed_at is None:
        return None
    return Slowdown(slowed_to, slowed_at)


def allowed(session: Session, budget: NodeBudget, now: datetime) -> int:
    """Return how many simultaneous associations are allowed now."""
    limit = session.scalars(select(Node.max_associations).where(Node.id == budget.node_id)).one()
    return _allowed(limit, slowdown_of(budget), now)


def _allowed(limit: int, slowdown: Slowdown | None, now: datetime) -> int:
    return limit if slowdown is None else slowdown.allowed(limit, now)


def standing(session: Session, node_id: int, now: datetime) -> int:
    """Return how many associations stand, or are being made."""
    held = (NodeLease.node_id == node_id, NodeLease.held.is_(True), NodeLease.until >= now)
    return session.scalar(select(func.count()).where(*held)) or 0


def _is_free(session: Session, budget: NodeBudget, number: int | None, now: datetime) -> bool:
    values = {"of_node": budget.node_id, "now": now, "number": _LAST if number is None else number}
    before, limit = session.execute(_IN_LINE_BEFORE, values).one()
    return before < _allowed(limit, slowdown_of(budget), now)
