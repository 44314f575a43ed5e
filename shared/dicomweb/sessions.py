"""Opens the sessions with DICOMweb servers, and holds what they share: tokens, and what was learned.

The echo is a session for a single request.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import replace
from http import HTTPStatus

from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.peer import Peer, Timeouts, WebAccess
from shared.dicomweb.http.authentication import Authenticator
from shared.dicomweb.http.session import ServerHabits, WebSession, access_of, timeouts_for
from shared.dicomweb.qido.pages import ACCEPT_JSON, is_json, matches_in
from shared.dicomweb.qido.session import QidoSession
from shared.dicomweb.wado.metadata import MetadataSession
from shared.dicomweb.wado.session import WadoSession

#: Servers that are remembered; forgetting one costs a token and a few requests.
_MOST_SERVERS = 1000


class _KnownServer:
    def __init__(self, peer: Peer, access: WebAccess, timeouts: Timeouts) -> None:
        self.authenticator = Authenticator(peer, access, timeouts)
        self.habits = ServerHabits()


class WebSessions:
    """Opens sessions; thread-safe."""

    #: The kinds of sessions.
    find_session, fetch_session, header_session = QidoSession, WadoSession, MetadataSession

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._servers: OrderedDict[Peer, _KnownServer] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, peer: Peer, cancellation: Cancellation | None) -> QidoSession:
        """Open a session for searches.

        Raises:
            PeerError: the server is not reached, or its certificate is not accepted.
            InterruptedWorkError: the work was stopped.
        """
        access, timeouts = access_of(peer), timeouts_for(peer, self._timeouts)
        server = self._server(peer)
        return QidoSession(peer, access.qido_url, server.authenticator, timeouts, cancellation, server.habits)

    def fetch(self, kind: type[WadoSession], peer: Peer, cancellation: Cancellation | None) -> WadoSession:
        """Open a session for retrieves or for metadata, as `find` does for searches.

        Raises:
            PeerError: the server is not reached, or its certificate is not accepted.
            InterruptedWorkError: the work was stopped.
        """
        access, timeouts = access_of(peer), timeouts_for(peer, self._timeouts)
        return kind(peer, access.wado_url, self._server(peer).authenticator, timeouts, cancellation)

    def _server(self, peer: Peer) -> _KnownServer:
        key = replace(peer, relational_queries=False)
        with self._lock:
            server = self._servers.get(key)
            if server is None:
                timeouts = timeouts_for(peer, self._timeouts)
                server = self._servers[key] = _KnownServer(key, access_of(key), timeouts)
            self._servers.move_to_end(key)
            while len(self._servers) > _MOST_SERVERS:
                self._servers.popitem(last=False)
            return server


#: Bytes of one match.
_MOST_BYTES = 1 << 20


def web_echo(peer: Peer, timeouts: Timeouts) -> float:
    """Search for one study; return the seconds that the response took.

    Raises:
        PeerError: there is no response, or it is none of QIDO-RS; with the outcome.
    """
    access, own = access_of(peer), timeouts_for(peer, timeouts)
    authenticator = Authenticator(peer, access, own)
    session = WebSession(peer, access.qido_url, authenticator, own, None)
    try:
        began = time.monotonic()
        response = session.get("/studies?limit=1", ACCEPT_JSON)
        if response.status in (HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.PARTIAL_CONTENT):
            body = response.read(_MOST_BYTES)
            took_s = time.monotonic() - began
            if body.strip() and not is_json(response.content_type):
                raise PeerError(Outcome.NO_DICOMWEB, f"{access.qido_url} responds, and not with DICOM JSON")
            matches_in(body)
            return took_s
        if response.status == HTTPStatus.NOT_FOUND:
            detail = f"HTTP 404 for {access.qido_url}/studies; is its path right?"
            raise PeerError(Outcome.NOT_FOUND, detail)
        raise session.refusal(response, f"{access.qido_url}/studies")
    finally:
        session.release()
