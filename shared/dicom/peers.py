"""From a node of the database to a peer that can be called."""

from __future__ import annotations

from shared.database.models import Node
from shared.dicom.association import Peer, Timeouts
from shared.settings import Settings


def peer_of(node: Node, settings: Settings) -> Peer:
    """Return how to call this node; without a title of its own we call as our store does.

    Only remote nodes have limits.
    """
    calling_ae_title = node.calling_ae_title or settings.store_ae_title
    node_id = node.id if node.kind == "remote" else None
    return Peer(node.host, node.port, node.ae_title, calling_ae_title, node_id)


def address_of(peer: Peer) -> str:
    """Return where and as whom a peer is called: what is learned there holds for no other."""
    return f"{peer.host}:{peer.port} {peer.ae_title} {peer.calling_ae_title}"


def timeouts_of(settings: Settings) -> Timeouts:
    """Return the time-outs of these settings; a connection never takes longer than an answer may."""
    return Timeouts(min(settings.connect_timeout, settings.dimse_timeout), settings.dimse_timeout)
