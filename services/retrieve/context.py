"""What all tasks of one retrieve need to know, and what they see arrive."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from services.retrieve.planning.moves import SeriesPart
from services.retrieve.planning.payloads import SeriesKey
from shared.database.models import Node, Query, Retrieve
from shared.dicom.association.pynetdicom_association import Peer
from shared.nodes.nodes import is_own_store
from shared.nodes.peers import peer_of
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class RetrieveContext:
    """What all tasks of one retrieve need to know."""

    job_id: str
    query_id: str
    remote_id: int
    remote: Peer
    store: Peer
    #: Whether the store node is DoseQR's own.
    own_store: bool
    #: Whether what was in the store before counts as arrived.
    ignore_known: bool
    since: datetime
    #: Whether the objects come to us by C-GET, and from us to the store node.
    fetch: bool = False
    #: Whether the store node is asked to commit to what it got.
    commits: bool = False


@dataclass(slots=True)
class Arrivals:
    """Objects that are known to have arrived: expected ones, and those of series that nobody could name."""

    sop_instance_uids: set[str] = field(default_factory=set)
    unlisted: dict[SeriesKey, set[str]] = field(default_factory=dict)

    def of(self, part: SeriesPart) -> int:
        """Return how many objects of a share arrived."""
        if part.unlisted:
            return len(self.unlisted.get(part.key, ()))
        return sum(uid in self.sop_instance_uids for uid in part.sop_instance_uids)

    def add(self, other: Arrivals) -> None:
        """Take over what somebody else saw."""
        self.sop_instance_uids |= other.sop_instance_uids
        for key, uids in other.unlisted.items():
            self.unlisted.setdefault(key, set()).update(uids)

    def __bool__(self) -> bool:
        return bool(self.sop_instance_uids) or any(self.unlisted.values())


def context_of(session: Session, job_id: str, settings: Settings) -> RetrieveContext:
    """Return the facts of a retrieve."""
    job = session.get_one(Retrieve, job_id)
    query = session.get_one(Query, job.query_id)
    store = session.get_one(Node, job.store_id)
    remote = session.get_one(Node, job.remote_id)
    own_store = is_own_store(store, settings)
    return RetrieveContext(
        job_id=job_id,
        query_id=job.query_id,
        remote_id=job.remote_id,
        remote=peer_of(remote, settings),
        store=peer_of(store, settings),
        own_store=own_store,
        ignore_known=query.criteria.get("ignore_known", True) is not False,
        since=job.requested_at,
        fetch=remote.retrieve_by == "get",
        # Our own store gives receipts, which are worth more.
        commits=store.verify_by == "commitment" and not own_store,
    )
