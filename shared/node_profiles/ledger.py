"""The only access to the table of profiles: what is known of a node, changed by whoever learns more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from shared.database.models import NodeProfile
from shared.database.upsert import insert_missing
from shared.dicom.peer import Peer
from shared.nodes.peers import address_of
from shared.querying.profile import Profile

#: What was learned: from the profile as it is to the profile as it becomes.
Lesson = Callable[[Profile], Profile]


def profile_row(session: Session, node_id: int, peer: Peer) -> NodeProfile | None:
    """Return the row of a node at its present address; what was learned at another one does not hold."""
    row = session.get(NodeProfile, node_id)
    return row if row is not None and row.address == address_of(peer) else None


def read_profile(session: Session, node_id: int, peer: Peer) -> Profile:
    """Return what is known of a node; of one at a new address nothing."""
    row = profile_row(session, node_id, peer)
    return Profile() if row is None else Profile.from_json(row.data)


def change_profile(session: Session, node_id: int, peer: Peer, lesson: Lesson, now: datetime) -> None:
    """Apply a lesson to the profile as it is now, which others change at the same time."""
    address = address_of(peer)
    empty = {"node_id": node_id, "address": address, "data": Profile().to_json(), "updated_at": now}
    insert_missing(session, NodeProfile, [empty])
    row = session.get_one(NodeProfile, node_id, with_for_update=True, populate_existing=True)
    moved = row.address != address
    before = Profile() if moved else Profile.from_json(row.data)
    after = lesson(before)
    if moved or after != before:
        row.address, row.data, row.updated_at = address, after.to_json(), now


def forget_profile(session: Session, node_id: int) -> None:
    """Forget all that is known of a node."""
    session.execute(delete(NodeProfile).where(NodeProfile.node_id == node_id))
