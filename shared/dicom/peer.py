"""Who is called, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass

from shared.dicom.tls import PeerTls


@dataclass(frozen=True, slots=True)
class Peer:
    """Address and AE titles of a peer."""

    host: str
    port: int
    ae_title: str
    calling_ae_title: str
    #: The node whose limits hold for it, if any do.
    node_id: int | None = None
    #: Whether relational queries are negotiated (PS3.4 C.5.1.1).
    relational_queries: bool = False
    #: TLS towards it; None: no TLS.
    tls: PeerTls | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for a connection and for an association to be established; then, for each response."""

    connect_s: float
    response_s: float
