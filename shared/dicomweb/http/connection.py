"""One HTTP connection to a DICOMweb server: requests one after another, each response read as a stream."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import urllib3.exceptions
from urllib3.connection import HTTPConnection
from urllib3.response import HTTPResponse

from shared.dicom.association import establishment
from shared.dicom.association.fuse import FUSE
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.tls import PeerTls, client_context
from shared.dicomweb.http.address import WebAddress
from shared.dicomweb.http.polled_socket import PolledSocket

#: Bytes that are read at once.
CHUNK_BYTES = 1 << 16

#: Names of TLS alerts about the certificate of the client.
_CERTIFICATE_ALERT = re.compile(r"ALERT.*(CERTIFICATE|UNKNOWN_CA)")

#: Raised by a server that closed a connection which we still held open.
_STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


@dataclass(frozen=True, slots=True)
class WebResponse:
    """Status and headers of a response; its body is read from the connection."""

    status: int
    headers: Mapping[str, str]
    _body: HTTPResponse

    @property
    def content_type(self) -> str:
        """The Content-Type with its parameters; empty where there is none."""
        return self.headers.get("content-type", "")

    def chunks(self) -> Iterator[bytes]:
        """Yield the body.

        Raises:
            PeerError: it ends early, or nothing comes for too long.
            InterruptedWorkError: the work was stopped.
        """
        with _exchange_errors("while its response was read"):
            yield from self._body.stream(CHUNK_BYTES)

    def read(self, most_bytes: int) -> bytes:
        """Return the whole body.

        Raises:
            PeerError: it has more bytes, ends early, or nothing comes for too long.
            InterruptedWorkError: the work was stopped.
        """
        body = bytearray()
        for chunk in self.chunks():
            body += chunk
            if len(body) > most_bytes:
                raise PeerError(Outcome.BAD_RESPONSE, f"a response of more than {most_bytes >> 20} MiB")
        return bytes(body)

    def drain(self, most_bytes: int = CHUNK_BYTES) -> bool:
        """Read the rest of a short body that is of no interest; return whether that was all."""
        try:
            self.read(most_bytes)
        except PeerError:
            return False
        return True


class WebConnection:
    """A connection to one server; used by one thread."""

    def __init__(
        self, peer: Peer, address: WebAddress, timeouts: Timeouts, cancellation: Cancellation | None = None
    ) -> None:
        """Connect.

        Raises:
            PeerError: the server is not reached, or its certificate is not accepted.
            InterruptedWorkError: the work was stopped.
        """
        self._peer = replace(peer, host=address.host, port=address.port)
        self._address = address
        self._timeouts = timeouts
        self._open(cancellation)

    @property
    def alive(self) -> bool:
        """Whether another request can be sent."""
        return self._sock.is_quiet()

    def close(self) -> None:
        """Close it, whatever is under way."""
        self._sock.abort()
        self._http.close()

    def exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        *,
        body: bytes | None = None,
        check: Callable[[], None] | None = None,
        cancellation: Cancellation | None = None,
    ) -> WebResponse:
        """Send a request and return its response; `check` raises what ends the wait for it.

        Raises:
            PeerError: there is none in time, or it is no HTTP.
            InterruptedWorkError: the work was stopped.
        """

        def check_all() -> None:
            if cancellation is not None and cancellation.requested:
                raise InterruptedWorkError(cancellation.reason)
            if check is not None:
                check()

        try:
            with _exchange_errors("before it responded", passed=_STALE):
                if self.alive:
                    return self._exchange(method, target, headers, body, check_all)
        except _STALE:
            pass  # the server has closed a connection that rested
        self.close()
        self._open(cancellation)
        with _exchange_errors("before it responded"):
            return self._exchange(method, target, headers, body, check_all)

    def _exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        check: Callable[[], None],
    ) -> WebResponse:
        self._sock.check = check
        own = {"Host": self._address.authority, "User-Agent": "DoseQR", "Accept-Encoding": "identity"}
        self._http.request(method, target, body=body, headers={**own, **headers}, preload_content=False)
        response = self._http.getresponse()
        named = {name.lower(): value for name, value in response.headers.items()}
        return WebResponse(response.status, named, response)

    def _open(self, cancellation: Cancellation | None) -> None:
        sock = establishment.call(self._peer, FUSE.guarding(self._peer, self._connect), cancellation)
        self._sock = PolledSocket(sock, self._timeouts.response_s)
        self._http = HTTPConnection(self._address.host, self._address.port)
        # A socket of our own: its reads notice a cancellation.
        self._http.sock = cast("socket.socket", self._sock)

    def _connect(self, address: str) -> socket.socket:
        peer, connect_s = self._peer, self._timeouts.connect_s
        try:
            context = None
            if self._address.secure:
                context = client_context(peer.tls or PeerTls("", check_name=True))
        except OSError as error:
            raise establishment.no_tls_files(peer, error) from error
        try:
            sock = socket.create_connection((address, peer.port), connect_s)
        except OSError as error:
            raise establishment.not_connected(peer, error, self._timeouts) from error
        if context is None:
            return sock
        try:
            return context.wrap_socket(sock, server_hostname=peer.host)
        except OSError as error:
            sock.close()
            raise self._not_secured(error) from error

    def _not_secured(self, error: OSError) -> PeerError:
        where = f"{self._peer.host}:{self._peer.port}"
        if isinstance(error, TimeoutError):
            return establishment.not_secured(self._peer, error, self._timeouts)
        if isinstance(error, ssl.SSLCertVerificationError):
            detail = (
                f"the certificate of {where} is not accepted ({error.verify_message}); check the node's TLS"
                " certificate or authorities, and the name in its address"
            )
            return PeerError(Outcome.CERTIFICATE, detail, permanent=True, associating=True)
        if (refused := _own_certificate_refused(error)) is not None:
            return refused
        reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
        detail = f"no TLS with {where} ({reason}); it may want our certificate, or speak http:// on this port"
        return PeerError(Outcome.ABORTED, detail, associating=True)


@contextlib.contextmanager
def _exchange_errors(when: str, passed: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Rename what the library raises; an error on the way says nothing about the request itself."""
    try:
        yield
    except passed:
        raise
    except (TimeoutError, urllib3.exceptions.TimeoutError) as error:
        raise PeerError(Outcome.TIMED_OUT, f"the server was silent for too long {when}") from error
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        refused = _own_certificate_refused(error)
        if refused is not None:
            raise refused from error
        detail = f"the exchange with the server broke {when} ({type(error).__name__})"
        raise PeerError(Outcome.ABORTED, detail) from error


def _own_certificate_refused(error: Exception) -> PeerError | None:
    """Return what it means if the server ends TLS for want of our certificate (RFC 8446 6.2).

    From TLS 1.3 on it does so only after the handshake, in place of its response.
    """
    reason = getattr(error, "reason", None)
    if not isinstance(reason, str) or _CERTIFICATE_ALERT.search(reason) is None:
        return None
    detail = f"the server wants a certificate of ours, or does not accept the one it got ({reason})"
    return PeerError(Outcome.CERTIFICATE, detail, permanent=True, associating=True)
