"""Who is called, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass

from shared.dicom.tls import PeerTls


@dataclass(frozen=True, slots=True)
class AttemptCeilings:
    """Associations that one process may attempt in a minute before its fuse for the peer blows."""

    #: Those that could not be established.
    failed: int = 30
    #: All of them; some PACS end an association after each request.
    all: int = 600


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
    #: When its fuse blows.
    ceilings: AttemptCeilings = AttemptCeilings()

    @property
    def address(self) -> str:
        """Host and port; an IPv6 address in brackets (RFC 3986, 3.2.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for a connection and for an association to be established; then, for each response."""

    connect_s: float
    response_s: float
