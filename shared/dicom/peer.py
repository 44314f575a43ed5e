"""Who is called, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.dicom.tls import PeerTls

Authentication = Literal["none", "basic", "bearer", "oauth"]


@dataclass(frozen=True, slots=True)
class WebAccess:
    """Where a peer offers DICOMweb (PS3.18), and how requests are authenticated there.

    The secret itself stands in a file, and is read whenever it is needed.
    """

    qido_url: str
    wado_url: str
    authentication: Authentication = "none"
    #: Name of a user (RFC 7617) or id of a client (RFC 6749 2.2).
    user: str = ""
    #: Path of the file with the password, token or client secret.
    secret_file: str = ""
    #: Where an access token is requested (RFC 6749 4.4), and for which scope.
    token_url: str = ""
    scope: str = ""
    #: Seconds for each response; None: as for DIMSE.
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class AttemptCeilings:
    """Associations that one process may attempt in a minute before its fuse for the peer blows."""

    #: Those that could not be established.
    failed: int = 30
    #: All of them; some PACS end an association after each request.
    all: int = 1500


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
    #: How DICOMweb is spoken with it; None: it is called by DIMSE.
    web: WebAccess | None = None

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
