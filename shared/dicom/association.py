"""The one place that opens associations: guarded (sockets.py), and every failure told as an outcome."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from pynetdicom import _config, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import (
    _UI,
    A_ABORT,
    A_ASSOCIATE,
    A_P_ABORT,
    SOPClassExtendedNegotiation,
)
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.transport import AddressInformation, AssociationSocket

from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.sockets import AnswerQueue, RequestorSocket

# pynetdicom logs what is asked and answered unless told not to: patient data.
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False

#: Largest P-DATA-TF that we take (PS3.8 D.1); 0 would mean no limit, which some old PACS misread.
MAX_PDU_BYTES = 131072

#: "Association established and ready for data transfer" (PS3.8 9.2.1).
_OPEN_STATE = "Sta6"

#: A-ASSOCIATE-RJ (PS3.8 9.3.4) by source and reason: another try gives the same answer.
_PERMANENT = {(1, 2), (1, 3), (1, 7), (2, 2)}
#: The peer asks for patience: temporary congestion, local limit exceeded.
_CONGESTED = {(3, 1), (3, 2)}


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to call, and as whom."""

    host: str
    port: int
    ae_title: str
    calling_ae_title: str
    #: The node whose limits hold for it, if any do.
    node_id: int | None = None
    #: Whether relational queries are negotiated (PS3.4 C.5.1.1).
    relational_queries: bool = False


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: for a connection and an association to stand; without an answer from then on."""

    connect_s: float
    answer_s: float


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


class Link:
    """An established association; used by one thread at a time."""

    def __init__(self, peer: Peer, assoc: Association) -> None:
        self.peer = peer
        self.assoc = assoc
        #: Called before each request; waits or raises where the node's limits want it.
        self.before_request: Callable[[], None] | None = None
        self._message_ids = cycle(range(1, 65536))

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

    def next_message_id(self) -> int:
        """Return the Message ID for the next operation (PS3.7 9.1)."""
        return next(self._message_ids)

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
) -> Link:
    """Open an association.

    Raises:
        PeerError: it does not stand, with the outcome.
        InterruptedWorkError: stopping was asked for.
    """
    if cancellation is not None and cancellation.requested:
        raise InterruptedWorkError(cancellation.reason)
    contexts = [build_context(syntax) for syntax in abstract_syntaxes]
    error: PeerError | None = None
    for address in _resolve(peer):
        try:
            return _associate(peer, address, contexts, timeouts)
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


def _associate(peer: Peer, address: str, contexts: list[PresentationContext], timeouts: Timeouts) -> Link:
    aborted_by_peer = threading.Event()

    def received(event: evt.Event) -> None:
        if isinstance(getattr(event, "primitive", None), (A_ABORT, A_P_ABORT)):
            aborted_by_peer.set()

    began = time.monotonic()
    assoc = _Requestor(peer, timeouts).associate(
        address,
        peer.port,
        contexts=contexts,
        ae_title=peer.ae_title,
        max_pdu=MAX_PDU_BYTES,
        ext_neg=_extended(contexts) if peer.relational_queries else None,
        evt_handlers=[(evt.EVT_ACSE_RECV, received)],
    )
    if assoc.is_established:
        return Link(peer, assoc)
    raise _why(peer, assoc, timeouts, time.monotonic() - began, by_peer=aborted_by_peer.is_set())


def _extended(contexts: Sequence[PresentationContext]) -> list[_UI]:
    """Return SOP Class Extended Negotiation (PS3.7 D.3.3.5) that asks for relational queries."""
    items: list[_UI] = []
    for context in contexts:
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid = context.abstract_syntax
        item.service_class_application_information = b"\x01"
        items.append(item)
    return items


def _why(peer: Peer, assoc: Association, timeouts: Timeouts, took_s: float, *, by_peer: bool) -> PeerError:
    where = f"{peer.host}:{peer.port}"
    sock = assoc.dul.socket
    error = sock.error if isinstance(sock, RequestorSocket) else None
    answer = assoc.acceptor.primitive
    if isinstance(error, TimeoutError):
        return PeerError(
            Outcome.TIMED_OUT, f"no connection to {where} in {timeouts.connect_s:g} s", associating=True
        )
    if error is not None:
        detail = f"{where} does not take connections ({error.strerror or type(error).__name__})"
        return PeerError(Outcome.CONNECTION_REFUSED, detail, associating=True)
    if assoc.is_rejected and answer is not None:
        return _rejected(peer, answer)
    if answer is not None and answer.result == 0 and not assoc.accepted_contexts:
        detail = f"{peer.ae_title} offers none of the services asked for"
        return PeerError(Outcome.NOT_SUPPORTED, detail, permanent=True, associating=True)
    if not by_peer and took_s >= timeouts.connect_s:
        detail = f"{where} did not answer the association request in {timeouts.connect_s:g} s"
        return PeerError(Outcome.TIMED_OUT, detail, associating=True)
    return PeerError(Outcome.ABORTED, f"{where} ended the association while it was made", associating=True)


def _rejected(peer: Peer, answer: A_ASSOCIATE) -> PeerError:
    key = (answer.result_source or 0, answer.diagnostic or 0)
    words = f"{answer.result_str}; source: {answer.source_str}; reason: {answer.reason_str}"
    return PeerError(
        Outcome.REJECTED,
        f"{words} (called {peer.ae_title}, calling {peer.calling_ae_title})",
        permanent=key in _PERMANENT,
        congested=key in _CONGESTED or answer.result == 2,  # noqa: PLR2004 - PS3.8 9.3.4: 2 is transient
        associating=True,
    )


def guarded(link: Link, message_id: int, query_model: str, cancellation: Cancellation | None) -> None:
    """Prepare the wait for the answers of an operation that C-CANCEL can end (PS3.7 9.3.2.3).

    Raises:
        NotNowError: the node's limits do not allow a request now.
        InterruptedWorkError: stopping was asked for while it was waited until they do.
    """
    if link.before_request is not None:
        link.before_request()

    def send_cancel() -> None:
        if link.assoc.is_established:
            link.assoc.send_c_cancel(message_id, query_model=query_model)

    link.answers.begin(cancellation, send_cancel)
