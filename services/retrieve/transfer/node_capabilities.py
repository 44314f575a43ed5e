"""What a node takes, from what queries have learned of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import select

from services.retrieve.planning.moves import MoveCapabilities
from shared.database.models import NodeProfile
from shared.database.session import Database

#: Tells what a remote node, named by its id, takes in one request.
CapabilitiesOf = Callable[[int], MoveCapabilities]


def capabilities_of_node(database: Database, remote_id: int) -> MoveCapabilities:
    """Return the manners of a node: one that answers C-FIND for lists of studies is moved from in lists, too.

    Where it does not, the mover asks again without lists, so a wrong guess costs one request.
    """
    with database.read() as session:
        data = session.scalar(select(NodeProfile.data).where(NodeProfile.node_id == remote_id)) or {}
    return MoveCapabilities(
        across_studies=_takes(data, "series_list"), object_lists=_takes(data, "image_list")
    )


def _takes(data: Mapping[str, object], name: str) -> bool:
    length = data.get(name)
    return isinstance(length, int) and length > 1
