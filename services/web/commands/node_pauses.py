"""Pauses and resumes nodes for the pages and the HTTP API; the broker only carries the news."""

from __future__ import annotations

import structlog

from services.web.components import components
from shared.control.node_control import publish_pause
from shared.database.models import Node
from shared.errors import BrokerAwayError

log = structlog.get_logger(__name__)


def change_node_pause(node_id: int, command_id: str, requested_by: str, *, paused: bool) -> Node:
    """Pause or resume a node in the database, where workers notice it; then publish it, if that is possible.

    Raises:
        UnknownNodeError: there is no such node.
        DatabaseAwayError: the database is away.
    """
    parts = components()
    change = parts.node_control.pause if paused else parts.node_control.resume
    node = change(node_id, command_id, requested_by)
    if not parts.service_status.current().broker_away:
        try:
            publish_pause(parts.publisher, node, command_id)
        except BrokerAwayError as error:
            log.warning("pause of a node not published", node_id=node.id, error=str(error))
    return node
