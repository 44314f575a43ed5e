"""An association of a requestor over our own upper layer: lean, and without a thread."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from shared.dicom.association import establishment
from shared.dicom.association.base import Association
from shared.dicom.association.establishment import MAX_PDU_BYTES
from shared.dicom.association.fuse import FUSE
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.tls import client_context
from shared.dicom.transfer_syntaxes import IMPLICIT_VR_LITTLE_ENDIAN
from shared.dicom.upper_layer.associate_requestor import (
    TRANSFER_SYNTAXES,
    AssociateAccept,
    Implementation,
    Proposal,
    associate_rq,
    context_id_of,
    decode_ac,
    decode_rj,
)
from shared.dicom.upper_layer.connection import AbortedError, Connection
from shared.dicom.upper_layer.dimse_message import DimseMessage, MessageAssembler
from shared.dicom.upper_layer.errors import ProtocolError
from shared.dicom.upper_layer.pdu import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    ABORT,
    P_DATA_TF,
    RELEASE_RP,
    RELEASE_RQ,
    abort_reason,
    p_data,
    pdvs_of,
)

_IMPLEMENTATION = Implementation(IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME)
#: The presentation context of the service, which is proposed first, and mostly alone.
CONTEXT_ID = context_id_of(0)
NO_DEADLINE = float("inf")

AssociationT = TypeVar("AssociationT", bound="NativeAssociation")


class NativeAssociation(Association):
    """An association for one service; nothing is read unless somebody waits for it."""

    def __init__(
        self, peer: Peer, connection: Connection, accepted: AssociateAccept, timeouts: Timeouts
    ) -> None:
        super().__init__(peer)
        self._connection = connection
        self._timeouts = timeouts
        self._maximum_length = accepted.maximum_length
        self._assembler = MessageAssembler()
        self._messages: deque[DimseMessage] = deque()
        #: Whether data sets are encoded in implicit VR little endian, otherwise in explicit VR little endian.
        self.implicit = accepted.contexts.get(CONTEXT_ID) == IMPLICIT_VR_LITTLE_ENDIAN

    @property
    def alive(self) -> bool:
        """Whether another operation can be sent; a peer that sent something in between has ended it."""
        return not self._messages and self._connection.is_quiet()

    def release(self) -> None:
        """End it in an orderly way; abort it if the peer does not follow."""
        if self._connection.closed:
            return
        with contextlib.suppress(TimeoutError, ProtocolError):
            self._send(RELEASE_RQ)
            deadline = time.monotonic() + self._timeouts.connect_s
            while True:
                kind, _ = self._connection.pdu_until(deadline)
                if kind == A_RELEASE_RP:
                    self._connection.close()
                    return
                if kind == A_RELEASE_RQ:
                    # A release collision (PS3.8 7.2.2.7).
                    self._send(RELEASE_RP)
        self.abort()

    def abort(self) -> None:
        """Abort it: send A-ABORT if the peer takes it, and close the connection."""
        if not self._connection.closed:
            with contextlib.suppress(AbortedError):
                self._send(ABORT)
            self._connection.close()

    def _send(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            AbortedError: the peer takes none.
        """
        _send(self._connection, data, self._timeouts)

    def _message(self, within_s: float, check: Callable[[], float]) -> DimseMessage:
        """Return the next message, complete within `within_s` seconds.

        Raises:
            TimeoutError: it is not, or the deadline of `check` is over.
            AbortedError: the peer has ended the association.
            ProtocolError: the peer sends what is no message.
        """
        deadline = time.monotonic() + within_s
        while not self._messages:
            self._take(*self._connection.pdu_until(deadline, check))
        return self._messages.popleft()

    def _take(self, kind: int, body: bytes) -> None:
        if kind == P_DATA_TF:
            for pdv in pdvs_of(body):
                message = self._assembler.add(pdv)
                if message is not None:
                    self._messages.append(message)
            return
        if kind == A_RELEASE_RQ:
            with contextlib.suppress(AbortedError):
                self._send(RELEASE_RP)
        if kind in (A_RELEASE_RQ, A_ABORT):
            how = "A-RELEASE-RQ" if kind == A_RELEASE_RQ else abort_reason(body)
            raise AbortedError(f"the peer ended the association before its final response ({how})")
        raise ProtocolError(f"a PDU of type {kind:02X}H where none may come")

    def _p_data(self, payload: bytes, *, is_command: bool, context_id: int = CONTEXT_ID) -> bytes:
        return p_data(context_id, payload, is_command=is_command, maximum_length=self._maximum_length)


def open_native_association(
    make: Callable[[Peer, Connection, AssociateAccept, Timeouts], AssociationT],
    peer: Peer,
    abstract_syntax: str,
    timeouts: Timeouts,
    *,
    cancellation: Cancellation | None = None,
) -> AssociationT:
    """Open an association for one service; `make` makes the association of it.

    Raises:
        PeerError: it is not established, with the outcome.
        InterruptedWorkError: the work was stopped.
    """
    proposals = [(abstract_syntax, TRANSFER_SYNTAXES)]
    return open_with_proposals(make, peer, proposals, timeouts, cancellation=cancellation)


def open_with_proposals(
    make: Callable[[Peer, Connection, AssociateAccept, Timeouts], AssociationT],
    peer: Peer,
    proposals: Sequence[Proposal],
    timeouts: Timeouts,
    *,
    taken: Sequence[str] = (),
    cancellation: Cancellation | None = None,
) -> AssociationT:
    """Open an association of which the peer accepts one of the proposals at least.

    Of the classes `taken` we are the SCP (PS3.7 D.3.3.4).

    Raises:
        PeerError: it is not established, with the outcome.
        NotNowError: the peer's fuse has blown.
        InterruptedWorkError: the work was stopped.
    """
    service = proposals[0][0]

    def check_cancelled() -> float:
        if cancellation is not None and cancellation.requested:
            raise InterruptedWorkError(cancellation.reason)
        return NO_DEADLINE

    def associate(address: str) -> AssociationT:
        connection = _connected(peer, address, timeouts)
        try:
            _send(connection, _associate_rq(peer, proposals, taken), timeouts)
            kind, body = connection.pdu_until(time.monotonic() + timeouts.connect_s, check_cancelled)
            return make(peer, connection, _accepted(peer, proposals, kind, body), timeouts)
        except BaseException as error:
            _give_up(connection, error, timeouts)
            if isinstance(error, TimeoutError):
                raise establishment.timed_out(peer, timeouts) from None
            if isinstance(error, AbortedError):
                raise establishment.aborted(peer, service, str(error)) from error
            if isinstance(error, ProtocolError):
                raise establishment.not_understood(peer, service, str(error)) from error
            raise

    return establishment.call(peer, FUSE.guarding(peer, associate), cancellation)


def check_connection(peer: Peer, timeouts: Timeouts) -> None:
    """Connect to a peer, and close the connection at once; the fuse counts it as an association.

    Raises:
        PeerError: the peer does not take the connection, with the outcome.
        NotNowError: the peer's fuse has blown.
    """

    def connect(address: str) -> None:
        try:
            socket.create_connection((address, peer.port), timeouts.connect_s).close()
        except OSError as error:
            raise establishment.not_connected(peer, error, timeouts) from error

    establishment.call(peer, FUSE.guarding(peer, connect), None)


def _connected(peer: Peer, address: str, timeouts: Timeouts) -> Connection:
    try:
        context = None if peer.tls is None else client_context(peer.tls)
    except OSError as error:
        raise establishment.no_tls_files(peer, error) from error
    try:
        sock = socket.create_connection((address, peer.port), timeouts.connect_s)
    except OSError as error:
        raise establishment.not_connected(peer, error, timeouts) from error
    connection = Connection(sock)
    if context is not None:
        try:
            connection.secure(context, timeouts.connect_s, server_hostname=peer.host)
        except (TimeoutError, AbortedError) as error:
            connection.close()
            raise establishment.not_secured(peer, error, timeouts) from error
    return connection


def _send(connection: Connection, data: bytes, timeouts: Timeouts) -> None:
    try:
        connection.send(data, timeouts.response_s)
    except TimeoutError as error:
        raise AbortedError(f"the peer has taken no data for {timeouts.response_s:g} s") from error


def _associate_rq(peer: Peer, proposals: Sequence[Proposal], taken: Sequence[str]) -> bytes:
    return associate_rq(
        peer.ae_title,
        peer.calling_ae_title,
        proposals,
        MAX_PDU_BYTES,
        _IMPLEMENTATION,
        relational=peer.relational_queries,
        taken=taken,
    )


def _accepted(peer: Peer, proposals: Sequence[Proposal], kind: int, body: bytes) -> AssociateAccept:
    """Return what was negotiated.

    Raises:
        PeerError: the association is not established.
        ProtocolError: the response is none of an A-ASSOCIATE.
    """
    service = proposals[0][0]
    if kind == A_ASSOCIATE_RJ:
        response = decode_rj(body)
        raise establishment.rejected(peer, response.result, response.source, response.reason, service)
    if kind == A_ABORT:
        raise establishment.aborted(peer, service, abort_reason(body))
    if kind != A_ASSOCIATE_AC:
        raise ProtocolError(f"a PDU of type {kind:02X}H")
    accepted = replace(decode_ac(body), proposals=proposals)
    if len(proposals) == 1:
        _require(peer, proposals[0], accepted)
    elif not accepted.contexts:
        raise establishment.not_offered(peer, service, accepted.refusals.get(CONTEXT_ID))
    return accepted


def _require(peer: Peer, proposal: Proposal, accepted: AssociateAccept) -> None:
    abstract_syntax, transfer_syntaxes = proposal
    transfer_syntax = accepted.contexts.get(CONTEXT_ID)
    if transfer_syntax is None:
        raise establishment.not_offered(peer, abstract_syntax, accepted.refusals.get(CONTEXT_ID))
    if transfer_syntax not in transfer_syntaxes:
        raise establishment.unusable_syntax(peer, abstract_syntax, transfer_syntax)


def _give_up(connection: Connection, error: BaseException, timeouts: Timeouts) -> None:
    """Close a connection on which no association stands; one that was rejected needs no A-ABORT."""
    rejected = isinstance(error, PeerError) and error.outcome is Outcome.REJECTED
    if not rejected:
        with contextlib.suppress(AbortedError):
            _send(connection, ABORT, timeouts)
    connection.close()
