"""C-STORE SCU of a scripted PACS: sends described objects over associations that it opens.

Its associations lose no responses, leak no sockets and send without delay.
"""

import contextlib
import logging
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.transport import AddressInformation, AssociationSocket

from simulator.archive.model import ArchiveMatch, Instance
from simulator.content import EncodedObject, ObjectEncoder
from simulator.network import dimse_message
from simulator.network.idle_threads import let_threads_rest
from simulator.network.sockets import acknowledge_at_once, send_at_once

_log = logging.getLogger(__name__)

#: Statuses of a C-STORE response after which the object is stored: success and the warnings (PS3.4 B.2.3).
STORED_STATUSES = frozenset({0x0000, 0xB000, 0xB006, 0xB007})
_CONTEXTS_MAXIMUM = 128
_UNCOMPRESSED: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


#: Requests of tests, and releases, pass through pynetdicom and may wait for as many seconds.
_REST_S = 0.005


class _Socket(AssociationSocket):
    """Closes its socket even where it cannot be shut down any more, as one that never connected."""

    def close(self) -> None:
        """Close it, and still count as connected once.

        A peer that rejects the association at once may have closed before the thread that requested it looks
        whether it was connected: that would lose the response.
        """
        was_connected = self._is_connected
        super().close()
        self._is_connected = was_connected

    def _shutdown_socket(self) -> None:
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()


class PacsRequestor(ApplicationEntity):
    """Opens associations, each to be used by one thread."""

    def _create_socket(
        self,
        assoc: Association,
        address: AddressInformation,
        tls_args: tuple[ssl.SSLContext, str] | None,
    ) -> AssociationSocket:
        sock = _Socket(assoc, address=address)
        sock.tls_args = tls_args
        return sock

    def open(self, host: str, port: int, **options: Any) -> Association:
        """Return an association, established or not; `options` are those of `associate`."""
        handlers = [*options.pop("evt_handlers", ()), (evt.EVT_CONN_OPEN, _on_open)]
        assoc = self.associate(host, port, evt_handlers=handlers, **options)
        # The thread of a requestor polls for messages and may drop the response that another thread waits for
        # (pynetdicom issue 875): its polls find nothing.
        take = assoc.dimse.get_msg
        assoc.dimse.get_msg = lambda block=False: take(block=True) if block else (None, None)  # type: ignore[method-assign]
        let_threads_rest(assoc, lambda: raw_socket(assoc), _REST_S)
        return assoc


def raw_socket(assoc: Association) -> socket.socket | None:
    """Return the TCP socket of an association, None once it is closed."""
    wrapped = assoc.dul.socket
    return None if wrapped is None else wrapped.socket


def _on_open(event: evt.Event) -> None:
    raw = raw_socket(event.assoc)
    if raw is not None:
        send_at_once(raw)


class NotSentError(Exception):
    """One object could not be sent: no presentation context, no response, or the association broke."""


class NoAssociationError(NotSentError):
    """The destination cannot be reached or takes no association."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where objects are sent."""

    ae_title: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Originator:
    """The requestor of the objects: named in each C-STORE request (PS3.7 9.1.1.1)."""

    ae_title: str
    message_id: int


def store_command(made: EncodedObject, message_id: int, originator: Originator | None) -> bytes:
    """Return the command set of a C-STORE request."""
    elements: list[tuple[int, int | str]] = [
        (dimse_message.AFFECTED_SOP_CLASS_UID, made.sop_class_uid),
        (dimse_message.AFFECTED_SOP_INSTANCE_UID, made.sop_instance_uid),
        (dimse_message.COMMAND_FIELD, dimse_message.C_STORE_RQ),
        (dimse_message.MESSAGE_ID, message_id),
        (dimse_message.PRIORITY, 0),
    ]
    if originator is not None:
        elements.append((dimse_message.MOVE_ORIGINATOR_AE_TITLE, originator.ae_title))
        elements.append((dimse_message.MOVE_ORIGINATOR_MESSAGE_ID, originator.message_id))
    return dimse_message.command_set(elements, has_data_set=True)


def storage_contexts(instances: Iterable[Instance]) -> list[PresentationContext]:
    """Return a presentation context for each storage class, in both uncompressed little endian syntaxes.

    What is compressed has a context of its own for its transfer syntax.
    """
    kinds = dict.fromkeys((instance.sop_class_uid, instance.transfer_syntax_uid) for instance in instances)
    contexts = [
        build_context(
            sop_class_uid, _UNCOMPRESSED if transfer_syntax_uid is None else [UID(transfer_syntax_uid)]
        )
        for sop_class_uid, transfer_syntax_uid in kinds
    ]
    return contexts[:_CONTEXTS_MAXIMUM]


def context_for(contexts: Iterable[PresentationContext], instance: Instance) -> PresentationContext | None:
    """Return the accepted context that an object can be sent in."""
    fitting = _UNCOMPRESSED if instance.transfer_syntax_uid is None else [UID(instance.transfer_syntax_uid)]
    for context in contexts:
        if context.abstract_syntax == instance.sop_class_uid and context.transfer_syntax[0] in fitting:
            return context
    return None


class StoreSender:
    """Sends objects to one destination; opens its association with the first and keeps it."""

    def __init__(
        self, ae_title: str, destination: Destination, encoder: ObjectEncoder, timeout_s: float = 30.0
    ) -> None:
        self._encoder = encoder
        self._ae = PacsRequestor(ae_title=ae_title)
        self._ae.maximum_pdu_size = 0
        self._ae.acse_timeout = self._ae.connection_timeout = timeout_s
        self._ae.dimse_timeout = timeout_s
        self._destination = destination
        self._assoc: Association | None = None
        self._raw: socket.socket | None = None
        self._message_id = 0

    def send(self, match: ArchiveMatch, instances: Iterable[Instance], originator: Originator | None) -> int:
        """Send one object and return the status of the response.

        `instances` is everything that will be sent over this association.

        Raises:
            NoAssociationError: the destination takes no association.
            NotSentError: no presentation context for the object, or no response.
        """
        if match.instance is None:
            raise NotSentError("only objects can be sent")
        assoc = self._established(instances)
        context = context_for(assoc.accepted_contexts, match.instance)
        if context is None or context.context_id is None:
            raise NotSentError("the destination does not accept the storage class")
        made = self._encoder.encode(match, implicit_vr=context.transfer_syntax[0].is_implicit_VR)
        self._message_id = self._message_id % 0xFFFF + 1
        command = store_command(made, self._message_id, originator)
        self._write(
            dimse_message.message(
                context.context_id, command, made.data_set, assoc.acceptor.maximum_length or 0
            )
        )
        _context_id, response = assoc.dimse.get_msg(block=True)
        if not isinstance(response, C_STORE) or response.Status is None:
            raise NotSentError("the destination did not respond")
        return int(response.Status)

    def _write(self, pdus: bytes) -> None:
        try:
            if self._raw is None:
                raise NotSentError("no connection")
            self._raw.sendall(pdus)
            acknowledge_at_once(self._raw)
        except OSError as exc:
            raise NotSentError("the destination closed the connection") from exc

    def _established(self, instances: Iterable[Instance]) -> Association:
        if self._assoc is not None and self._assoc.is_established:
            return self._assoc
        self.close()
        assoc = self._ae.open(
            self._destination.host,
            self._destination.port,
            contexts=storage_contexts(instances),
            ae_title=self._destination.ae_title,
            max_pdu=0,
        )
        if not assoc.is_established:
            raise NoAssociationError("the destination did not accept the association")
        self._raw = raw_socket(assoc)
        self._assoc = assoc
        return assoc

    def abort(self) -> None:
        """Abort the association."""
        if self._assoc is not None and self._assoc.is_established:
            self._assoc.abort()
        self._forget()

    def close(self) -> None:
        """Release the association."""
        if self._assoc is not None and self._assoc.is_established:
            self._assoc.release()
        self._forget()

    def _forget(self) -> None:
        if self._assoc is not None and self._assoc.is_alive():
            self._assoc.join(timeout=5)
        if self._raw is not None:
            self._raw.close()
        self._assoc = self._raw = None
