"""Associations of pynetdicom, guarded (pynetdicom_guards.py); every failure has an outcome."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from pydicom.uid import UID
from pynetdicom import _config, build_role, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association as Assoc
from pynetdicom.pdu_primitives import A_ABORT, A_P_ABORT, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.transport import AddressInformation, AssociationSocket

from shared.dicom.association import establishment
from shared.dicom.association.base import Association
from shared.dicom.association.establishment import MAX_PDU_BYTES
from shared.dicom.association.operation_deadline import OperationDeadline
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.tls import client_context
from shared.dicom.upper_layer.dimse_message import MAX_DATA_SET_BYTES
from tests.support.peers.pynetdicom_guards import MessageBound, RequestorSocket, ResponseQueue

# By default, pynetdicom logs request and response identifiers: patient data.
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False

#: "Association established and ready for data transfer" (PS3.8 9.2.1).
_OPEN_STATE = "Sta6"


AssociationT = TypeVar("AssociationT", bound="PynetdicomAssociation")


class _Requestor(ApplicationEntity):
    """Makes associations with the guarded queue and socket."""

    def __init__(self, peer: Peer, timeouts: Timeouts) -> None:
        super().__init__(ae_title=peer.calling_ae_title)
        self.connection_timeout = timeouts.connect_s
        self.acse_timeout = timeouts.connect_s
        self.dimse_timeout = timeouts.response_s
        self.network_timeout = None
        self.bound: MessageBound | None = None
        self.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
        self.implementation_version_name = IMPLEMENTATION_VERSION_NAME

    def _create_socket(
        self, assoc: Assoc, address: AddressInformation, tls_args: tuple[ssl.SSLContext, str] | None
    ) -> AssociationSocket:
        def is_open() -> bool:
            return bool(assoc.dul.state_machine.current_state == _OPEN_STATE)

        bound = self.bound = MessageBound(assoc, MAX_DATA_SET_BYTES)
        assoc.dimse.msg_queue = ResponseQueue(lambda: is_open() and not bound.exceeded)
        assoc.dimse.receive_primitive = bound.receive_primitive  # type: ignore[method-assign]
        sock = RequestorSocket(assoc, address=address)
        sock.is_open, sock.associate_timeout_s = is_open, self.acse_timeout
        sock.response_timeout_s = self.dimse_timeout
        sock.tls_args = tls_args
        return sock


class PynetdicomAssociation(Association):
    """An established association that pynetdicom keeps."""

    def __init__(self, peer: Peer, assoc: Assoc, bound: MessageBound) -> None:
        super().__init__(peer)
        self.assoc = assoc
        self.bound = bound

    @property
    def alive(self) -> bool:
        """Whether another operation can be sent."""
        return self.assoc.is_established

    @property
    def responses(self) -> ResponseQueue:
        """The queue of its responses."""
        queue = self.assoc.dimse.msg_queue
        assert isinstance(queue, ResponseQueue)
        return queue

    def release(self) -> None:
        """End it in an orderly way; abort it if the peer does not follow."""
        if self.assoc.is_established:
            self.assoc.release()
        if not self.assoc.is_released:
            self.abort()

    def abort(self) -> None:
        """Abort it: send A-ABORT if the peer takes it, and close the connection."""
        if self.assoc.is_established:
            self.assoc.abort()
        sock = self.assoc.dul.socket
        if isinstance(sock, RequestorSocket):
            sock.shut()

    def failure(self) -> PeerError | InterruptedWorkError:
        """Return why an operation got no final response."""
        cancellation = self.responses.cancellation
        if cancellation is not None and cancellation.requested:
            return InterruptedWorkError(cancellation.reason)
        if self.bound.exceeded:
            detail = f"the peer sent a message of more than {self.bound.max_bytes >> 20} MiB"
            return PeerError(Outcome.BAD_RESPONSE, detail)
        if self.responses.timed_out:
            if self.responses.operation_is_over:
                return PeerError(Outcome.TIMED_OUT, "no final response in time; the request was ended here")
            seconds = self.assoc.dimse_timeout
            return PeerError(Outcome.TIMED_OUT, f"no response for {seconds:g} s")
        return PeerError(Outcome.ABORTED, "the peer ended the association before its final response")


def open_pynetdicom_association(
    peer: Peer,
    abstract_syntaxes: Sequence[str],
    timeouts: Timeouts,
    *,
    cancellation: Cancellation | None = None,
) -> PynetdicomAssociation:
    """Open an association.

    Raises:
        PeerError: it is not established, with the outcome.
        InterruptedWorkError: the work was stopped.
    """
    contexts = [build_context(syntax) for syntax in abstract_syntaxes]
    return open_contexts(PynetdicomAssociation, peer, contexts, timeouts, cancellation=cancellation)


def open_contexts(
    make: Callable[[Peer, Assoc, MessageBound], AssociationT],
    peer: Peer,
    contexts: Sequence[PresentationContext],
    timeouts: Timeouts,
    *,
    taken_abstract_syntaxes: Sequence[str] = (),
    cancellation: Cancellation | None = None,
) -> AssociationT:
    """Open an association for these contexts; of some, we are the SCP (PS3.7 D.3.3.4).

    Raises:
        PeerError: it is not established, with the outcome.
        InterruptedWorkError: the work was stopped.
    """
    roles = [build_role(UID(syntax), scp_role=True) for syntax in taken_abstract_syntaxes]

    def associate(address: str) -> AssociationT:
        return make(peer, *_associate(peer, address, list(contexts), roles, timeouts))

    return establishment.call(peer, associate, cancellation)


def _associate(
    peer: Peer,
    address: str,
    contexts: list[PresentationContext],
    roles: list[SCP_SCU_RoleSelectionNegotiation],
    timeouts: Timeouts,
) -> tuple[Assoc, MessageBound]:
    aborted_by_peer = threading.Event()

    def received(event: evt.Event) -> None:
        if isinstance(getattr(event, "primitive", None), (A_ABORT, A_P_ABORT)):
            aborted_by_peer.set()

    tls = _tls_with(peer)
    began = time.monotonic()
    requestor = _Requestor(peer, timeouts)
    assoc = requestor.associate(
        address,
        peer.port,
        contexts=contexts,
        ae_title=peer.ae_title,
        max_pdu=MAX_PDU_BYTES,
        ext_neg=[*roles],
        tls_args=None if tls is None else (tls, peer.host),
        evt_handlers=[(evt.EVT_ACSE_RECV, received)],
    )
    if assoc.is_established:
        assert requestor.bound is not None
        return assoc, requestor.bound
    raise _why(peer, assoc, timeouts, time.monotonic() - began, by_peer=aborted_by_peer.is_set())


def _tls_with(peer: Peer) -> ssl.SSLContext | None:
    try:
        return None if peer.tls is None else client_context(peer.tls)
    except OSError as error:
        raise establishment.no_tls_files(peer, error) from error


def _why(peer: Peer, assoc: Assoc, timeouts: Timeouts, took_s: float, *, by_peer: bool) -> PeerError:
    sock = assoc.dul.socket
    error = sock.error if isinstance(sock, RequestorSocket) else None
    response = assoc.acceptor.primitive
    if error is not None:
        return establishment.not_connected(peer, error, timeouts)
    if assoc.is_rejected and response is not None:
        return establishment.rejected(
            peer, response.result or 0, response.result_source or 0, response.diagnostic or 0
        )
    if response is not None and response.result == 0 and not assoc.accepted_contexts:
        refused = assoc.rejected_contexts
        first = refused[0] if refused else None
        abstract_syntax = str(first.abstract_syntax) if first else "any service"
        return establishment.not_offered(peer, abstract_syntax, first.result if first else None)
    if not by_peer and took_s >= timeouts.connect_s:
        return establishment.timed_out(peer, timeouts)
    return establishment.aborted(peer)


def guarded(
    association: PynetdicomAssociation,
    message_id: int,
    query_model: str,
    cancellation: Cancellation | None,
    deadline: OperationDeadline,
) -> None:
    """Prepare the wait for the responses of an operation that C-CANCEL can end (PS3.7 9.3.2.3).

    Raises:
        NotNowError: the node's limits do not allow a request now.
        InterruptedWorkError: the work was stopped while it waited for them.
    """
    association.admit()

    def send_cancel() -> None:
        if association.assoc.is_established:
            association.assoc.send_c_cancel(message_id, query_model=query_model)

    association.responses.begin(cancellation, send_cancel, deadline)
