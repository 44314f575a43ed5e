"""Peers, and the errors of associations that cannot be established, the same for every kind."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.sop_classes import service_name
from shared.dicom.transfer_syntaxes import NAMES
from shared.dicom.upper_layer.associate_acceptor import TRANSFER_SYNTAXES_NOT_SUPPORTED
from shared.dicom.upper_layer.associate_requestor import TRANSFER_SYNTAXES
from shared.identifiers import UID_MAX_LENGTH

T = TypeVar("T")

#: Largest P-DATA-TF that we take (PS3.8 D.1); 0 would mean no limit, which some old PACS misread.
MAX_PDU_BYTES = 131072

#: A-ASSOCIATE-RJ (PS3.8 9.3.4) by source and reason: another try gives the same result.
_PERMANENT = {(1, 2), (1, 3), (1, 7), (2, 2)}
#: The peer is busy for the moment: temporary congestion, local limit exceeded.
_CONGESTED = {(3, 1), (3, 2)}
_TRANSIENT = 2

_RESULTS = {1: "rejected permanent", 2: "rejected transient"}
_SOURCES = {1: "service user", 2: "service provider (ACSE)", 3: "service provider (presentation)"}
_REASONS = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


def call(peer: Peer, associate: Callable[[str], T], cancellation: Cancellation | None) -> T:
    """Return what `associate` makes of the first address of the peer that takes connections.

    Raises:
        PeerError: none does, or the association does not stand.
        InterruptedWorkError: the work was stopped.
    """
    if cancellation is not None and cancellation.requested:
        raise InterruptedWorkError(cancellation.reason)
    error: PeerError | None = None
    for address in _resolve(peer):
        try:
            return associate(address)
        except PeerError as failure:
            error = failure
            if failure.outcome is not Outcome.CONNECTION_REFUSED:
                raise
    raise error or PeerError(Outcome.HOST_NOT_FOUND, f"no address for {peer.host}", associating=True)


def _resolve(peer: Peer) -> list[str]:
    """Return the addresses of the host, IPv4 first: PACS rarely listen on IPv6."""
    try:
        infos = socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise PeerError(
            Outcome.HOST_NOT_FOUND, f"no address is known for {peer.host}", associating=True
        ) from error
    infos.sort(key=lambda info: info[0] != socket.AF_INET)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


def not_connected(peer: Peer, error: OSError, timeouts: Timeouts) -> PeerError:
    """Return the error for a connection that does not come to be."""
    where = f"{peer.address}"
    if isinstance(error, TimeoutError):
        detail = f"no connection to {where} in {timeouts.connect_s:g} s"
        return PeerError(Outcome.TIMED_OUT, detail, associating=True)
    if isinstance(error, ssl.SSLError):
        return PeerError(Outcome.ABORTED, f"no TLS with {where} ({error.reason})", associating=True)
    detail = f"{where} does not take connections ({error.strerror or type(error).__name__})"
    return PeerError(Outcome.CONNECTION_REFUSED, detail, associating=True)


def not_secured(peer: Peer, error: Exception, timeouts: Timeouts) -> PeerError:
    """Return the error for a TLS handshake that fails."""
    where = f"{peer.address}"
    if isinstance(error, TimeoutError):
        detail = f"no TLS with {where} in {timeouts.connect_s:g} s"
        return PeerError(Outcome.TIMED_OUT, detail, associating=True)
    return PeerError(Outcome.ABORTED, f"no TLS with {where}: {_tls_advice(error)}", associating=True)


def _tls_advice(error: Exception) -> str:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not accepted ({cause.verify_message}); check the node's TLS certificate or"
            " authorities, and the name by which it is called"
        )
    reason = getattr(cause, "reason", None) or error
    return f"the handshake failed ({reason}); it may want our certificate, or speak no TLS on this port"


def no_tls_files(peer: Peer, error: OSError) -> PeerError:
    """Return the error for TLS files that cannot be used."""
    reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
    file = f"{error.filename}: " if error.filename else ""
    detail = f"the files for TLS with {peer.address} cannot be used here ({file}{reason})"
    return PeerError(Outcome.ABORTED, detail, permanent=True, associating=True)


def timed_out(peer: Peer, timeouts: Timeouts) -> PeerError:
    """Return the error for an A-ASSOCIATE-RQ without a response in time."""
    detail = f"{peer.address} did not respond to the association request in {timeouts.connect_s:g} s"
    return PeerError(Outcome.TIMED_OUT, detail, associating=True)


def aborted(peer: Peer, abstract_syntax: str = "", how: str = "") -> PeerError:
    """Return the error for a peer that ends the connection instead of responding."""
    detail = f"{peer.address} ended the association while it was made"
    circumstances = "; ".join(filter(None, (how, abstract_syntax and f"for {service_name(abstract_syntax)}")))
    if circumstances:
        detail += f" ({circumstances})"
    return PeerError(Outcome.ABORTED, detail, associating=True)


def not_understood(peer: Peer, abstract_syntax: str, problem: str) -> PeerError:
    """Return the error for a peer whose response to an A-ASSOCIATE-RQ breaks the protocol."""
    detail = (
        f"{peer.address} sent what is no response to an association request, which was ended here"
        f" ({problem}; for {service_name(abstract_syntax)}):"
        " is this its DICOM port, with TLS set as it is there?"
    )
    return PeerError(Outcome.ABORTED, detail, associating=True)


#: Why a presentation context is not accepted (PS3.8 table 9-18).
_CONTEXT_REFUSALS = {
    1: "refused by its user",
    2: "refused without a reason",
    3: "this service is not supported there",
    4: "none of the proposed transfer syntaxes is supported there",
}


def not_offered(peer: Peer, abstract_syntax: str, result: int | None = None) -> PeerError:
    """Return the error for a presentation context that was not accepted, with its result if it has one."""
    reason = "without a reason"
    if result is not None:
        reason = f"{_CONTEXT_REFUSALS.get(result, 'for an unknown reason')}; result {result}"
    if result == TRANSFER_SYNTAXES_NOT_SUPPORTED:
        proposed = ", ".join(NAMES[transfer_syntax] for transfer_syntax in TRANSFER_SYNTAXES)
        reason += f"; proposed: {proposed}"
    detail = f"{peer.ae_title} does not accept {service_name(abstract_syntax)} ({reason})"
    return PeerError(Outcome.NOT_SUPPORTED, detail, permanent=True, associating=True)


def unusable_syntax(peer: Peer, abstract_syntax: str, transfer_syntax: str) -> PeerError:
    """Return the error for a context that was accepted in a transfer syntax that was not proposed."""
    detail = (
        f"{peer.ae_title} accepts {service_name(abstract_syntax)} in a transfer syntax that was not proposed"
        f" ({transfer_syntax[:UID_MAX_LENGTH]})"
    )
    return PeerError(Outcome.NOT_SUPPORTED, detail, permanent=True, associating=True)


def rejected(peer: Peer, result: int, source: int, reason: int, abstract_syntax: str = "") -> PeerError:
    """Return the error for an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    key = (source, reason)
    problem = (
        f"{_RESULTS.get(result, f'rejected with result {result}')}; "
        f"source: {_SOURCES.get(source, f'unknown ({source})')}; "
        f"reason: {_REASONS.get(key, f'unknown ({reason})')}"
    )
    service = f", for {service_name(abstract_syntax)}" if abstract_syntax else ""
    return PeerError(
        Outcome.REJECTED,
        f"{problem} (called {peer.ae_title}, calling {peer.calling_ae_title}{service})",
        permanent=key in _PERMANENT,
        congested=key in _CONGESTED or result == _TRANSIENT,
        associating=True,
    )
