"""What is learned of remote nodes as headers are requested: it stands in their profiles."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from services.retrieve.context import RetrieveContext
from shared.database.models import NodeProfile
from shared.nodes.peers import address_of
from shared.querying.profile import Profile


def note_offer(session: Session, context: RetrieveContext, *, offered: bool, now: datetime) -> None:
    """Write whether a node sends headers without bulk data, if that is news."""
    address = address_of(context.remote)
    row = session.get(NodeProfile, context.remote_id, with_for_update=True)
    known = Profile() if row is None or row.address != address else Profile.from_json(row.data)
    if known.headers is offered:
        return
    learned = replace(known, headers=offered)
    session.merge(
        NodeProfile(node_id=context.remote_id, address=address, data=learned.to_json(), updated_at=now)
    )
