"""Opens associations of pynetdicom: guarded (sockets.py), and every failure told as an outcome."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Sequence
from typing import Any

from pydicom.uid import UID
from pynetdicom import _config, build_role, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ABORT, A_P_ABORT
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.transport import AddressInformation, AssociationSocket

from shared.dicom.association import establishment
from shared.dicom.association.base import Link
from shared.dicom.association.establishment import MAX_PDU_BYTES, Peer, Timeouts
from shared.dicom.association.pynetdicom_guards import AnswerQueue, RequestorSocket
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.tls import client_context

# pynetdicom logs what is asked and answered unless told not to: patient data.
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False

#: "Association established and ready for data transfer" (PS3.8 9.2.1).
_OPEN_STATE = "Sta6"


class _Requestor(ApplicationEntity):
    """Makes associations with the guarded queue and socket."""

    def __init__(self, peer: Peer, timeouts: Timeouts) -> None:
        super().__init__(ae_title=peer.calling_ae_title)
        self.connection_timeout = timeouts.connect_s
        self.acse_timeout = timeouts.connect_s
        self.dimse_timeout = timeouts.answer_s
        self.network_timeout = None

    def _create_socket(
        self, assoc: Association, address: AddressInformation, tls_args: Any
    ) -> AssociationSocket:
        assoc.dimse.msg_queue = AnswerQueue(lambda: assoc.dul.state_machine.current_state == _OPEN_STATE)
        sock = RequestorSocket(assoc, address=address)
        sock.answer_timeout_s = self.dimse_timeout
        sock.tls_args = tls_args
        return sock


class StackLink(Link):
    """An established association that pynetdicom keeps."""

    def __init__(self, peer: Peer, assoc: Association) -> None:
        super().__init__(peer)
        self.assoc = assoc

    @property
    def alive(self) -> bool:
        """Whether another operation can be sent."""
        return self.assoc.is_established

    @property
    def answers(self) -> AnswerQueue:
        """Where answers arrive."""
        queue = self.assoc.dimse.msg_queue
        assert isinstance(queue, AnswerQueue)
        return queue

    def release(self) -> None:
        """End it in an orderly way; abort it if the peer does not follow."""
        if self.assoc.is_established:
            self.assoc.release()
        if not self.assoc.is_released:
            self.abort()

    def abort(self) -> None:
        """End it at once: A-ABORT as far as it goes, then the connection."""
        if self.assoc.is_established:
            self.assoc.abort()
        sock = self.assoc.dul.socket
        if isinstance(sock, RequestorSocket):
            sock.shut()

    def failure(self) -> PeerError | InterruptedWorkError:
        """Say why an operation got no final answer."""
        cancellation = self.answers.cancellation
        if cancellation is not None and cancellation.requested:
            return InterruptedWorkError(cancellation.reason)
        if self.answers.timed_out:
            seconds = self.assoc.dimse_timeout
            return PeerError(Outcome.TIMED_OUT, f"no answer for {seconds:g} s")
        return PeerError(Outcome.ABORTED, "the peer ended the association before its final answer")


def open_link(
    peer: Peer,
    abstract_syntaxes: Sequence[str],
    timeouts: Timeouts,
    *,
    cancellation: Cancellation | None = None,
) -> StackLink:
    """Open an association.

    Raises:
        PeerError: it does not stand, with the outcome.
        InterruptedWorkError: stopping was asked for.
    """
    contexts = [build_context(syntax) for syntax in abstract_syntaxes]
    return open_contexts(peer, contexts, timeouts, cancellation=cancellation)


def open_contexts(
    peer: Peer,
    contexts: Sequence[PresentationContext],
    timeouts: Timeouts,
    *,
    taken_abstract_syntaxes: Sequence[str] = (),
    cancellation: Cancellation | None = None,
) -> StackLink:
    """Open an association for these contexts; of some, we are the SCP (PS3.7 D.3.3.4).

    Raises:
        PeerError: it does not stand, with the outcome.
        InterruptedWorkError: stopping was asked for.
    """
    roles = [build_role(UID(syntax), scp_role=True) for syntax in taken_abstract_syntaxes]

    def associate(address: str) -> StackLink:
        return _associate(peer, address, list(contexts), roles, timeouts)

    return establishment.call(peer, associate, cancellation)


def _associate(
    peer: Peer,
    address: str,
    contexts: list[PresentationContext],
    roles: list[Any],
    timeouts: Timeouts,
) -> StackLink:
    aborted_by_peer = threading.Event()

    def received(event: evt.Event) -> None:
        if isinstance(getattr(event, "primitive", None), (A_ABORT, A_P_ABORT)):
            aborted_by_peer.set()

    tls = _tls_with(peer)
    began = time.monotonic()
    assoc = _Requestor(peer, timeouts).associate(
        address,
        peer.port,
        contexts=contexts,
        ae_title=peer.ae_title,
        max_pdu=MAX_PDU_BYTES,
        ext_neg=roles,
        tls_args=None if tls is None else (tls, peer.host),
        evt_handlers=[(evt.EVT_ACSE_RECV, received)],
    )
    if assoc.is_established:
        return StackLink(peer, assoc)
    raise _why(peer, assoc, timeouts, time.monotonic() - began, by_peer=aborted_by_peer.is_set())


def _tls_with(peer: Peer) -> ssl.SSLContext | None:
    try:
        return None if peer.tls is None else client_context(peer.tls)
    except OSError as error:
        raise establishment.no_tls_files(peer, error) from error


def _why(peer: Peer, assoc: Association, timeouts: Timeouts, took_s: float, *, by_peer: bool) -> PeerError:
    sock = assoc.dul.socket
    error = sock.error if isinstance(sock, RequestorSocket) else None
    answer = assoc.acceptor.primitive
    if error is not None:
        return establishment.not_connected(peer, error, timeouts)
    if assoc.is_rejected and answer is not None:
        return establishment.rejected(
            peer, answer.result or 0, answer.result_source or 0, answer.diagnostic or 0
        )
    if answer is not None and answer.result == 0 and not assoc.accepted_contexts:
        return establishment.not_offered(peer)
    if not by_peer and took_s >= timeouts.connect_s:
        return establishment.not_answered(peer, timeouts)
    return establishment.aborted(peer)


def stacked(link: Link) -> StackLink:
    """Return a link of the pool as what pynetdicom's operations need.

    Raises:
        TypeError: it is an association of another kind.
    """
    if not isinstance(link, StackLink):
        raise TypeError(f"not over an association of {type(link).__name__}")
    return link


def guarded(link: StackLink, message_id: int, query_model: str, cancellation: Cancellation | None) -> None:
    """Prepare the wait for the answers of an operation that C-CANCEL can end (PS3.7 9.3.2.3).

    Raises:
        NotNowError: the node's limits do not allow a request now.
        InterruptedWorkError: stopping was asked for while it was waited until they do.
    """
    link.admit()

    def send_cancel() -> None:
        if link.assoc.is_established:
            link.assoc.send_c_cancel(message_id, query_model=query_model)

    link.answers.begin(cancellation, send_cancel)


__all__ = ["Link", "Peer", "StackLink", "Timeouts", "guarded", "open_contexts", "open_link", "stacked"]
