"""How a node goes: DoseQR's own store never does."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from shared.database.models import Node
from shared.errors import InvalidInputError
from shared.nodes.names import removed_name
from shared.nodes.nodes import is_own_store, list_nodes
from shared.settings import Settings


class OwnStoreError(InvalidInputError):
    """DoseQR's own store is to be removed."""

    def __init__(self) -> None:
        super().__init__(
            "node",
            "is DoseQR's own store, which is added again at each start: jobs that used it could not be"
            " retrieved any more; use another store by choosing it",
        )


def remove_node(session: Session, node: Node, settings: Settings, now: datetime) -> None:
    """Remove a node: it stays for the jobs that name it, and its name is free again.

    Raises:
        OwnStoreError: it is the only node of DoseQR's own store.
    """
    if is_only_own_store(session, node, settings):
        raise OwnStoreError
    node.name = removed_name(node.name, node.id)
    node.removed_at = now
    session.flush()


def is_only_own_store(session: Session, node: Node, settings: Settings) -> bool:
    """Return whether no other node is DoseQR's own store."""
    return [store.id for store in list_nodes(session, "store") if is_own_store(store, settings)] == [node.id]
