"""What the sessions of QIDO-RS and WADO-RS share: authenticated requests over one connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from shared.dicom.association.base import Association
from shared.dicom.cancellation import Cancellation
from shared.dicom.peer import Peer, Timeouts, WebAccess
from shared.dicomweb.http.address import web_address
from shared.dicomweb.http.authentication import Authenticator
from shared.dicomweb.http.connection import WebConnection, WebResponse
from shared.dicomweb.http.errors import WebStatusError, error_of_status, retry_at_of

#: Matches of one page that are requested at first, and where a server refuses so many: some take 200 at most.
PAGE_LIMITS = (1000, 200, 100)


@dataclass(slots=True)
class ServerHabits:
    """What was learned of one server since this process began; forgetting it costs a few requests."""

    page_limit: int = PAGE_LIMITS[0]
    #: Whether a request with this limit has succeeded.
    limit_proven: bool = False
    #: Whether it pays heed to `offset`; None: not known.
    offsets: bool | None = None
    #: What separates the values of a list that are no UIDs; None: not known.
    separator: str | None = None


class WebSession(Association):
    """One connection to a DICOMweb server, lent and metered as an association is."""

    def __init__(
        self,
        peer: Peer,
        url: str,
        authenticator: Authenticator,
        timeouts: Timeouts,
        cancellation: Cancellation | None,
    ) -> None:
        """Connect.

        Raises:
            PeerError: the server is not reached, or its certificate is not accepted.
            InterruptedWorkError: the work was stopped.
        """
        super().__init__(peer)
        self._address = web_address(url)
        self._authenticator = authenticator
        self._timeouts = timeouts
        self._connection = WebConnection(peer, self._address, timeouts, cancellation)

    @property
    def alive(self) -> bool:
        """Whether another request can be sent."""
        return self._connection.alive

    def release(self) -> None:
        """Close the connection."""
        self._connection.close()

    def abort(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(
        self,
        target: str,
        accept: str,
        *,
        check: Callable[[], None] | None = None,
        cancellation: Cancellation | None = None,
    ) -> WebResponse:
        """Send a GET for a path and query below the address; a token that was refused is renewed once.

        Raises:
            PeerError: there is no response, or no token.
            InterruptedWorkError: the work was stopped.
        """
        renewed = False
        while True:
            own = self._authenticator.headers(cancellation)
            response = self._connection.exchange(
                "GET",
                self._address.path + target,
                {"Accept": accept, **own},
                check=check,
                cancellation=cancellation,
            )
            refused = response.status == HTTPStatus.UNAUTHORIZED and not renewed
            if not refused or not self._authenticator.forget(own):
                return response
            renewed = True
            self._finish(response)
            # The second request counts as the first one did.
            self.admit()

    def target_of(self, uri: str) -> str | None:
        """Return what `get` takes for an address on this server; None if it lies elsewhere."""
        return self._address.target_of(uri)

    def refusal(self, response: WebResponse, resource: str) -> WebStatusError:
        """Return the error of a response that is no success, and make the connection ready for another."""
        self._finish(response)
        retry_at = retry_at_of(response.headers.get("retry-after", ""), datetime.now(UTC))
        return error_of_status(response.status, resource, retry_at)

    def _finish(self, response: WebResponse) -> None:
        if not response.drain():
            self._connection.close()


def access_of(peer: Peer) -> WebAccess:
    """Return how DICOMweb is spoken with a peer that offers it."""
    assert peer.web is not None
    return peer.web


def timeouts_for(peer: Peer, timeouts: Timeouts) -> Timeouts:
    """Return the time-outs of a peer: its own, where it has one."""
    own_s = access_of(peer).timeout_s
    return timeouts if own_s is None else Timeouts(min(timeouts.connect_s, own_s), own_s)
