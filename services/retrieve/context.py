"""What every task of one retrieve needs to know, read from the database once for each task."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from services.retrieve.planning.moves import MoveCapabilities
from shared.database.models import Node, NodeBudget, Query, Retrieve
from shared.database.models.store import WHOLE
from shared.dicom.peer import Peer
from shared.identifiers import AeTitle
from shared.node_profiles.ledger import read_profile
from shared.nodes.nodes import is_own_store
from shared.nodes.peers import peer_of
from shared.querying.profile import Profile
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class RetrieveContext:
    """What every task of one retrieve needs to know."""

    job_id: str
    query_id: str
    remote_id: int
    remote: Peer
    store_id: int
    store: Peer
    #: Whether the store node is DoseQR's own.
    own_store: bool
    #: Whether it has the AE title of DoseQR's own store: that store by another address or port, perhaps.
    own_title: bool = field(kw_only=True, default=False)
    #: What is wanted of objects whose header carries the dose: whole, or headers.
    content: str = field(kw_only=True, default=WHOLE)
    #: Whether the store node did not respond to us when it was tried last.
    store_away: bool = field(kw_only=True, default=False)
    #: Whether objects that were in DoseQR's own store before count as arrived: never at another store node.
    ignore_known: bool
    since: datetime
    #: Whether the objects come to us by C-GET, and from us to the store node.
    fetch: bool = False
    #: Whether storage commitment is requested from the store node.
    commits: bool = False
    #: What the remote node takes in one request.
    capabilities: MoveCapabilities = field(default_factory=MoveCapabilities)
    #: Whether the remote node sends headers without bulk data; None: not known.
    offers_headers: bool | None = None
    #: The number of matches at which the remote node is known to stop with success.
    cap: int | None = None


#: WADO-RS retrieves below one study, and one object after the other.
_WEB = MoveCapabilities(object_lists=True)


def context_of(session: Session, job_id: str, settings: Settings) -> RetrieveContext:
    """Return the context of a retrieve."""
    job = session.get_one(Retrieve, job_id)
    query = session.get_one(Query, job.query_id)
    store = session.get_one(Node, job.store_id)
    remote = session.get_one(Node, job.remote_id)
    own_store = is_own_store(store, settings)
    budget = session.get(NodeBudget, job.store_id)
    peer = peer_of(remote, settings)
    profile = read_profile(session, job.remote_id, peer)
    return RetrieveContext(
        job_id=job_id,
        query_id=job.query_id,
        remote_id=job.remote_id,
        remote=peer,
        store_id=job.store_id,
        store=peer_of(store, settings),
        own_store=own_store,
        own_title=AeTitle(store.ae_title) == AeTitle(settings.store_ae_title),
        store_away=budget is not None and budget.away_failures > 0,
        ignore_known=counts_known(query, store, settings),
        since=job.requested_at,
        content=job.content,
        fetch=remote.retrieve_by == "get",
        # Our own store gives receipts, which are worth more.
        commits=store.verify_by == "commitment" and not own_store,
        capabilities=_WEB if remote.protocol == "dicomweb" else _capabilities_of(profile),
        offers_headers=profile.headers,
        cap=profile.cap,
    )


def counts_known(query: Query, store: Node, settings: Settings) -> bool:
    """Return whether what DoseQR's own store holds need not be requested of the remote node."""
    return is_own_store(store, settings) and query.criteria.get("ignore_known", True) is not False


def _capabilities_of(profile: Profile) -> MoveCapabilities:
    """Return what a node takes: one that responds to C-FIND for lists of studies is sent such C-MOVEs, too.

    A wrong guess costs one request: the same is requested again without lists.
    """
    return MoveCapabilities(
        across_studies=(profile.series_list or 0) > 1, object_lists=(profile.image_list or 0) > 1
    )
