"""Whether work for a node can begin: one that is away, or not reached by this process yet, is tried first.

The try is a connection, closed as soon as it stands. It costs few statements; a task that fails costs dozens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import Select, Update, bindparam, or_, select, update
from sqlalchemy.orm import Session

from shared.clock import Clock
from shared.database.models import Node, NodeBudget
from shared.database.session import Database
from shared.dicom.association.native import check_connection
from shared.dicom.errors import NotNowError, Outcome, PeerError
from shared.dicom.peer import Peer, Timeouts
from shared.node_access.budget import check_open, limits_of, outage_after
from shared.node_access.leases import TRY_LEASE, outage_of
from shared.node_access.outage import TRY_TAKES, Outage, is_outage

log = structlog.get_logger(__name__)

#: The message of a task that is not begun for long may count as lost: where a connection may take longer than
#: this, the task itself makes it.
_LONGEST_CONNECT_S = 30.0
#: Outages that the next connection can end: who rejects associations takes connections.
_UNCONNECTED = frozenset({Outcome.CONNECTION_REFUSED, Outcome.HOST_NOT_FOUND, Outcome.TIMED_OUT})


@dataclass(frozen=True, slots=True)
class NodeAway:
    """Why no work for a node can begin now."""

    node_id: int
    error: PeerError
    #: Monotonic time at which the connection was begun that failed; none: the node was not tried now.
    tried_since: float | None = None

    def note(self, session: Session, clock: Clock) -> datetime:
        """Note the try that failed, in the caller's transaction; return when the next one is allowed."""
        if self.tried_since is None:
            assert self.error.retry_at is not None, "who was not tried is away until then"
            return self.error.retry_at
        outage = outage_after(session, self.node_id, self.error, since=self.tried_since, clock=clock)
        log.warning("node not reached", node_id=self.node_id, error=self.error.code, failures=outage.failures)
        return outage.next_try_at


class Reachability:
    """Tries nodes before work for them begins; safe from any thread."""

    def __init__(
        self, database: Database, timeouts: Timeouts, peer_of: Callable[[Node], Peer], clock: Clock
    ) -> None:
        self._database = database
        self._timeouts = timeouts
        self._peer_of = peer_of
        self._clock = clock
        #: Nodes that took the last connection of this process, as far as it knows.
        self._reached: set[int] = set()
        self._lock = threading.Lock()

    def note(self, node_id: int, *, reached: bool) -> None:
        """Note whether work for a node has reached it: if so, the next is begun without a try."""
        with self._lock:
            (self._reached.add if reached else self._reached.discard)(node_id)

    def check(self, node_id: int) -> NodeAway | None:
        """Return why work for a node cannot begin now; None: it can, or the work itself finds out.

        Raises:
            DatabaseAwayError: the database is away.
        """
        with self._lock:
            if node_id in self._reached:
                return None
        now = self._clock()
        with self._database.read_outside() as session:
            row = session.execute(_WITH_BUDGET, {"of_node": node_id}).one_or_none()
        if row is None:
            return None
        node, budget = row
        if not _is_open(node, budget, now):
            return None
        outage = outage_of(budget) if budget is not None else None
        retry_at = outage.retry_at(now) if outage is not None else None
        if outage is not None and retry_at is not None:
            return NodeAway(node_id, outage.error(retry_at))
        return self._try(node_id, self._peer_of(node), outage, now)

    def _try(self, node_id: int, peer: Peer, outage: Outage | None, now: datetime) -> NodeAway | None:
        if peer.web is not None or self._timeouts.connect_s > _LONGEST_CONNECT_S:
            return None
        if outage is None:
            return self._connect(node_id, peer)
        if outage.outcome not in _UNCONNECTED:
            return None
        if not self._take_turn(node_id, now):
            return NodeAway(node_id, outage.error(now + TRY_TAKES))
        away = None
        try:
            away = self._connect(node_id, peer)
        finally:
            if away is None:
                self._give_turn_back(node_id)
        return away

    def _connect(self, node_id: int, peer: Peer) -> NodeAway | None:
        began = time.monotonic()
        try:
            check_connection(peer, self._timeouts)
        except NotNowError:
            return None
        except PeerError as error:
            return NodeAway(node_id, error, began) if is_outage(error) else None
        self.note(node_id, reached=True)
        return None

    def _take_turn(self, node_id: int, now: datetime) -> bool:
        """Take the one try of a node that is away, over the whole cluster; return whether it is ours."""
        with self._database.transaction() as connection:
            values = {"of_node": node_id, "now": now, "until": now + TRY_LEASE}
            return bool(connection.execute(_TURN_TAKEN, values).rowcount)

    def _give_turn_back(self, node_id: int) -> None:
        """Let the work itself try the node."""
        with self._database.transaction() as connection:
            connection.execute(_TURN_GIVEN_BACK, {"of_node": node_id})


def _is_open(node: Node, budget: NodeBudget | None, now: datetime) -> bool:
    try:
        check_open(limits_of(node, budget), now)
    except NotNowError:
        return False
    return True


def _with_budget() -> Select[Node, NodeBudget]:
    joined = select(Node, NodeBudget).join(NodeBudget, NodeBudget.node_id == Node.id, isouter=True)
    return joined.where(Node.id == bindparam("of_node"))


def _turn_taken() -> Update:
    now = bindparam("now", type_=NodeBudget.away_next_try_at.type)
    nobody = or_(NodeBudget.away_trying_until.is_(None), NodeBudget.away_trying_until <= now)
    is_due = (NodeBudget.away_failures > 0, NodeBudget.away_next_try_at <= now)
    until = bindparam("until", type_=NodeBudget.away_trying_until.type)
    return (
        update(NodeBudget)
        .where(NodeBudget.node_id == bindparam("of_node"), *is_due, nobody)
        .values(away_trying_until=until)
    )


#: Made once: each try executes them.
_WITH_BUDGET = _with_budget()
_TURN_TAKEN = _turn_taken()
_TURN_GIVEN_BACK = (
    update(NodeBudget).where(NodeBudget.node_id == bindparam("of_node")).values(away_trying_until=None)
)
