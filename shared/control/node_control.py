"""Pauses and resumes nodes: all jobs that need one wait, in every service."""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from shared.clock import Clock
from shared.contract.envelope import derived_id
from shared.contract.messages import NodePaused, NodeResumed
from shared.database.models import Node, Query, QueryTask, Retrieve, RetrieveTask
from shared.database.models.pause import Pause, time_held
from shared.database.session import Database
from shared.jobs.ledger import Ledger
from shared.jobs.model import JobT
from shared.messaging.publisher import Publisher
from shared.nodes.nodes import find_node

log = structlog.get_logger(__name__)

_QUERIES = Ledger(Query, QueryTask)
_RETRIEVES = Ledger(Retrieve, RetrieveTask)


class NodeControl:
    """Does what is requested of nodes; each command may come again at any time.

    The database is what counts: workers stop within two seconds, whether the broker is there or not.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def pause(self, reference: int | str, command_id: str, requested_by: str, field: str = "node") -> Node:
        """Pause a node; the first pause stands.

        Raises:
            UnknownNodeError: there is no such node; names `field`.
            DatabaseAwayError: the database is away.
        """
        with self._database.write() as session:
            node = _locked(session, reference, field)
            if node.begin_pause(Pause(requested_by, self._clock(), command_id)):
                session.flush()
                _hold_back(session, _QUERIES, node)
                _hold_back(session, _RETRIEVES, node)
                log.info("node paused", node_id=node.id, requested_by=requested_by)
        return node

    def resume(self, reference: int | str, command_id: str, requested_by: str, field: str = "node") -> Node:
        """Resume a node. The time for which it was paused counts in no time limit of its jobs.

        Raises:
            UnknownNodeError: there is no such node; names `field`.
            DatabaseAwayError: the database is away.
        """
        now = self._clock()
        with self._database.write() as session:
            node = _locked(session, reference, field)
            ended_pause = node.end_pause(command_id)
            if ended_pause is not None:
                session.flush()
                _end_holds(session, _QUERIES, node, ended_pause, now)
                _end_holds(session, _RETRIEVES, node, ended_pause, now)
                log.info("node resumed", node_id=node.id, requested_by=requested_by)
        return node


def publish_pause(publisher: Publisher, node: Node, command_id: str) -> None:
    """Publish whether a node is paused, after a command; the same id each time.

    Raises:
        BrokerAwayError: the broker did not confirm it.
    """
    pause = node.pause
    event: NodePaused | NodeResumed
    if pause is not None:
        event = NodePaused(
            command_id=command_id,
            node_id=node.id,
            node=node.name,
            paused_by=pause.by,
            paused_at=pause.since,
        )
    else:
        event = NodeResumed(command_id=command_id, node_id=node.id, node=node.name)
    publisher.event(event, "node", command_id, event_id=derived_id(command_id, f"-{event.NAME}"))


def _locked(session: Session, reference: int | str, field: str) -> Node:
    node = find_node(session, reference, field=field)
    session.refresh(node, with_for_update=True)
    return node


def _hold_back(session: Session, ledger: Ledger[JobT], node: Node) -> None:
    for job in ledger.lock_unfinished(session, node.id):
        ledger.hold_back(session, job.id)


def _end_holds(session: Session, ledger: Ledger[JobT], node: Node, ended: Pause, now: datetime) -> None:
    for job in ledger.lock_unfinished(session, node.id):
        others = [*job.node_pauses.values(), *([job.pause] if job.pause is not None else [])]
        ledger.end_hold(session, job, ended.at, time_held(ended, others, now))
