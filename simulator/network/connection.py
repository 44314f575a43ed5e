"""The served end of an association: pynetdicom negotiates and reads, responses are written as bytes.

Writing responses past pynetdicom's message classes makes 3,000 of them cheap and lets a fault send what no
library would. All use of what pynetdicom keeps to itself is in this module.
"""

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from pynetdicom import _config
from pynetdicom.acse import ACSE
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE, DimseServiceType
from pynetdicom.pdu_primitives import P_DATA, SOPClassExtendedNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import (
    AddressInformation,
    AssociationSocket,
    RequestHandler,
    ThreadedAssociationServer,
)

from simulator.network import dimse_message
from simulator.network.idle_threads import let_threads_rest
from simulator.network.sockets import acknowledge_at_once, send_at_once

_log = logging.getLogger(__name__)

# Identifiers may hold patient data, so they are not logged.
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False

_POLL_S = 0.02

#: Seconds that an abort may wait; responses do not pass through pynetdicom.
_REST_S = 0.05


class ConnectionLostError(Exception):
    """The peer is gone, or the PACS is stopping: there is no one left to respond to."""


class Host(Protocol):
    """What a connection needs from its PACS."""

    stopping: threading.Event

    def contexts_for(self, proposed: Sequence[str]) -> list[PresentationContext]:
        """Return the presentation contexts that are supported among the proposed abstract syntaxes."""
        ...

    def admit(self, connection: "ServedConnection", called_ae_title: str) -> tuple[int, int, int] | None:
        """Count an association in; return result, source and reason if it is rejected."""
        ...

    def takes_relational(self) -> bool:
        """Return whether relational queries are accepted when proposed."""
        ...

    def serve(
        self, connection: "ServedConnection", request: DimseServiceType, context: PresentationContext
    ) -> None:
        """Serve one request."""
        ...

    def ended(self, connection: "ServedConnection") -> None:
        """Count an association out; called once."""
        ...


class ServedConnection(Association):
    """An accepted association of a scripted PACS."""

    def __init__(self, ae: ApplicationEntity, host: Host, raw: socket.socket, number: int) -> None:
        super().__init__(ae, "acceptor")
        self.host = host
        self.raw = raw
        self.number = number
        self.is_over = False
        self.admitted = False
        self.relational = False
        self.acse = _Acse(self)
        self._ended = threading.Lock()
        let_threads_rest(self, lambda: raw, _REST_S)

    @property
    def calling_ae_title(self) -> str:
        """The AE title of the peer."""
        return self.requestor.ae_title

    def run(self) -> None:
        """Negotiate and serve until the association ends, however it ends."""
        try:
            super().run()
        finally:
            self.end()
            self.raw.close()
            self.is_over = True

    def end(self) -> None:
        """Report the end of the association, once."""
        if self._ended.acquire(blocking=False) and self.admitted:
            self.host.ended(self)

    def _serve_request(self, msg: DimseServiceType, context_id: int) -> None:
        context = self._accepted_cx.get(context_id)
        if context is None or not msg.is_valid_request:
            self.abort()
            return
        self._is_paused = True
        try:
            self.host.serve(self, msg, context)
        except ConnectionLostError:
            _log.debug("association %d: the peer has gone", self.number)
        except Exception:  # noqa: BLE001 (an SCP lives on; the peer sees an abort)
            _log.exception("association %d: serving a request failed", self.number)
            self.abort()
        finally:
            self._is_paused = False
            self.dimse.cancel_req = {}

    def send(self, context_id: int, command: bytes, data_set: bytes | None = None) -> None:
        """Send one DIMSE message.

        Raises:
            ConnectionLostError: the peer is gone.
        """
        self.send_pdus(
            dimse_message.message(context_id, command, data_set, self.requestor.maximum_length or 0)
        )

    def send_pdus(self, pdus: bytes) -> None:
        """Send encoded P-DATA-TF PDUs.

        Raises:
            ConnectionLostError: the peer is gone.
        """
        if not self.is_established or self.host.stopping.is_set():
            raise ConnectionLostError
        if isinstance(self.raw, ssl.SSLSocket):
            # Two threads may not use one TLS connection: the thread that reads has to write as well.
            for primitive in _as_primitives(pdus):
                self.dul.send_pdu(primitive)
            return
        try:
            self.raw.sendall(pdus)
            acknowledge_at_once(self.raw)
        except OSError as exc:
            raise ConnectionLostError from exc

    def is_cancelled(self, message_id: int) -> bool:
        """Return whether the peer has sent C-CANCEL for this message."""
        return message_id in self.dimse.cancel_req

    def receive_store_response(self) -> int | None:
        """Return the status of the C-STORE response that comes next, None if none comes."""
        _context_id, response = self.dimse.get_msg(block=True)
        return response.Status if isinstance(response, C_STORE) else None

    def pause(self, seconds: float) -> None:
        """Wait; end early if the PACS stops or the peer leaves.

        Raises:
            ConnectionLostError: the peer has left, or the PACS stops.
        """
        remaining = seconds
        while remaining > 0:
            if self.host.stopping.wait(min(remaining, _POLL_S)) or self.peer_has_gone():
                raise ConnectionLostError
            remaining -= _POLL_S

    def peer_has_gone(self) -> bool:
        """Return whether the peer has aborted the association or closed the connection."""
        return self.acse.is_aborted() or not self.dul.is_alive()

    def wait_for_peer_to_go(self) -> None:
        """Wait until the peer gives up or the PACS stops."""
        while not self.peer_has_gone() and not self.host.stopping.wait(_POLL_S):
            pass

    def drop(self) -> None:
        """Close the TCP connection without an A-ABORT."""
        self.end()
        if self.requestor.primitive is None:
            # No A-ASSOCIATE-RQ has come yet, and the thread waits for it.
            self.dul.to_user_queue.put(None)
        try:
            self.raw.shutdown(socket.SHUT_RDWR)
        except OSError:
            _log.debug("association %d was closed already", self.number)


def _as_primitives(pdus: bytes) -> list[P_DATA]:
    primitives = []
    start = 0
    while start < len(pdus):
        length = int.from_bytes(pdus[start + 2 : start + 6], "big")
        item = pdus[start + 6 : start + 6 + length]
        primitive = P_DATA()
        primitive.presentation_data_value_list.append((item[4], item[5:]))
        primitives.append(primitive)
        start += 6 + length
    return primitives


class _Acse(ACSE):
    """Association control that rejects as the PACS decides, with its reason."""

    def __init__(self, connection: ServedConnection) -> None:
        super().__init__(connection)
        self._connection = connection

    def _negotiate_as_acceptor(self) -> None:
        connection = self._connection
        primitive = self.requestor.primitive
        if primitive is None:
            connection.kill()
            return
        self.requestor.ae_title = primitive.calling_ae_title
        try:
            rejection = connection.host.admit(connection, primitive.called_ae_title)
        except ConnectionLostError:
            connection.kill()
            return
        if rejection is not None:
            self.send_reject(*rejection)
            connection.is_rejected = True
            connection.kill()
            return
        proposed = [
            str(context.abstract_syntax) for context in primitive.presentation_context_definition_list
        ]
        self.acceptor.supported_contexts = connection.host.contexts_for(proposed)
        super()._negotiate_as_acceptor()

    def _check_sop_class_extended(self) -> list[SOPClassExtendedNegotiation]:
        """Agree to relational queries (PS3.4 C.5.1.1.1) where they are proposed and this PACS takes them."""
        items = []
        for sop_class_uid, application_information in self.requestor.sop_class_extended.items():
            proposed = application_information[:1] == b"\x01"
            agreed = proposed and self._connection.host.takes_relational()
            self._connection.relational = self._connection.relational or agreed
            item = SOPClassExtendedNegotiation()
            item.sop_class_uid = sop_class_uid
            item.service_class_application_information = b"\x01" if agreed else b"\x00"
            items.append(item)
        return items

    def send_release(self, is_response: bool = False) -> None:
        """Count the association out before the peer learns that it is over and opens the next."""
        self._connection.end()
        super().send_release(is_response)


class _Handler(RequestHandler):
    """Makes a Connection of an accepted TCP connection."""

    server: "PacsServer"
    request: socket.socket

    def _create_association(self) -> ServedConnection:
        send_at_once(self.request)
        connection = self.server.make_connection(self.request)
        connection._server = self.server  # noqa: SLF001
        connection.name = f"AcceptorThread-{connection.number}"
        connection.set_socket(AssociationSocket(connection, client_socket=self.request))
        connection.acceptor.maximum_length = self.ae.maximum_pdu_size
        connection.acceptor.ae_title = self.server.ae_title
        connection.acceptor.address_info = self.local
        connection.acceptor.implementation_class_uid = self.ae.implementation_class_uid
        connection.acceptor.implementation_version_name = self.ae.implementation_version_name
        connection.requestor.address_info = AddressInformation.from_tuple(self.client_address)
        return connection


class PacsServer(ThreadedAssociationServer):
    """Accepts TCP connections and makes connections of them."""

    #: A burst of associations waits in the queue of the system and is not refused by it.
    request_queue_size = 128
    #: Closing the server waits for the threads that are making connections.
    daemon_threads = False

    def __init__(
        self,
        ae: ApplicationEntity,
        address: tuple[str, int],
        contexts: list[PresentationContext],
        make_connection: Callable[[socket.socket], ServedConnection],
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.make_connection = make_connection
        super().__init__(ae, address, ae.ae_title, contexts, ssl_context, request_handler=_Handler)

    def service_actions(self) -> None:
        """Do nothing: garbage is collected when Python sees fit."""
