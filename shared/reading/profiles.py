"""What was learned of a node, as the database holds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from shared.contract.results import ProfileResult
from shared.database.models import Node
from shared.node_profiles.ledger import profile_row
from shared.nodes.peers import address_of, peer_of
from shared.querying.profile import Profile
from shared.querying.profile_text import profile_entries
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class KnownProfile:
    """The profile of a node at its present address; `changed_at` is None where nothing was learned yet."""

    profile: Profile
    address: str
    changed_at: datetime | None


def known_profile(session: Session, node: Node, settings: Settings) -> KnownProfile:
    """Return what is known of a node; what was learned at another address does not hold for it."""
    peer = peer_of(node, settings)
    address, row = address_of(peer), profile_row(session, node.id, peer)
    if row is None:
        return KnownProfile(Profile(), address, None)
    return KnownProfile(Profile.from_json(row.data), address, row.updated_at)


def profile_json(session: Session, node: Node, settings: Settings) -> ProfileResult:
    """Return the output of `doseqr profile NODE --json`: each field, its value and its meaning."""
    known = known_profile(session, node, settings)
    return {
        "node": node.name,
        "node_id": node.id,
        "address": known.address,
        "changed_at": known.changed_at.isoformat() if known.changed_at else None,
        "measured_at": known.profile.measured_at or None,
        "fields": [field.to_json() for field in profile_entries(known.profile)],
    }
