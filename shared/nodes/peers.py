"""From a node of the database to a peer that can be called."""

from __future__ import annotations

from pathlib import Path

from shared.database.models import Node
from shared.dicom.peer import AttemptCeilings, Peer, Timeouts
from shared.dicom.tls import PeerTls
from shared.nodes.nodes import is_own_store
from shared.nodes.web_access import web_access_of
from shared.settings import Settings


def peer_of(node: Node, settings: Settings) -> Peer:
    """Return how to call this node; without a title of its own we call as our store does.

    Only remote nodes have limits.
    """
    calling_ae_title = node.calling_ae_title or settings.store_ae_title
    node_id = node.id if node.kind == "remote" else None
    tls = own_store_tls(settings) if is_own_store(node, settings) else node_tls(node, settings.node_tls_dir)
    return Peer(
        node.host,
        node.port,
        node.ae_title,
        calling_ae_title,
        node_id,
        tls=tls,
        ceilings=AttemptCeilings(settings.fuse_failed_attempts, settings.fuse_attempts),
        web=web_access_of(node, settings.node_secrets_dir),
    )


def node_tls(node: Node, folder: Path) -> PeerTls | None:
    """Return how TLS is spoken with a node, by files of this folder; None where it is off."""
    if node.tls not in ("on", "any-name"):
        return None

    def path(name: str) -> str:
        return str(folder / name) if name else ""

    return PeerTls(
        path(node.tls_ca), path(node.tls_certificate), path(node.tls_key), check_name=node.tls == "on"
    )


def own_store_of(settings: Settings) -> Peer:
    """Return how to call DoseQR's own store without reading any node."""
    title = settings.store_ae_title
    return Peer(settings.store_address, settings.store_port, title, title, tls=own_store_tls(settings))


def own_store_tls(settings: Settings) -> PeerTls | None:
    """Return how TLS is spoken with DoseQR's own store: to it, its own certificate is shown."""
    certificate = settings.store_tls_cert
    if not certificate:
        return None
    return (
        PeerTls(certificate, certificate, settings.store_tls_key)
        if settings.store_tls_client_ca
        else PeerTls(certificate)
    )


def address_of(peer: Peer) -> str:
    """Return where and as whom a peer is called: what is learned there holds for no other."""
    if peer.web is not None:
        return " ".join(dict.fromkeys((peer.web.qido_url, peer.web.wado_url)))
    return f"{peer.host}:{peer.port} {peer.ae_title} {peer.calling_ae_title}"


def timeouts_of(settings: Settings) -> Timeouts:
    """Return the time-outs of these settings; a connection never takes longer than a response may."""
    return Timeouts(min(settings.connect_timeout, settings.dimse_timeout), settings.dimse_timeout)
