"""The association of a requestor of C-FIND: lean, without a thread, each answer as the bytes it is.

pynetdicom needs about 0.4 ms and two threads for an answer, and may lose one (its issue 875); queries are
nearly nothing but answers.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION
from pynetdicom.dsutils import encode

from shared.dicom import calling
from shared.dicom.calling import MAX_PDU_BYTES, Peer, Timeouts
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.link import Link
from shared.dicom.sockets import CANCEL_GRACE_S
from shared.dicom.sop_classes import STUDY_ROOT_FIND
from shared.dicom.upper_layer.command import (
    C_FIND_RSP,
    COMMAND_FIELD,
    STATUS,
    c_cancel_rq,
    c_find_rq,
    number_of,
)
from shared.dicom.upper_layer.connection import AbortedError, Connection
from shared.dicom.upper_layer.errors import ProtocolError
from shared.dicom.upper_layer.negotiation import (
    TRANSFER_SYNTAXES,
    Accepted,
    Implementation,
    associate_rq,
    context_id_of,
    decode_ac,
    decode_rj,
)
from shared.dicom.upper_layer.pdu import (
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    ABORT,
    RELEASE_RP,
    RELEASE_RQ,
    p_data,
)

_IMPLEMENTATION = Implementation(str(PYNETDICOM_IMPLEMENTATION_UID), PYNETDICOM_IMPLEMENTATION_VERSION)
_CONTEXT_ID = context_id_of(0)
_NO_DEADLINE = float("inf")

#: Statuses with a match (PS3.4 C.4.1.1.4).
PENDING = frozenset({0xFF00, 0xFF01})


class Answer(NamedTuple):
    """One C-FIND-RSP: its status, and the encoded match where there is one."""

    status_code: int
    identifier: bytes | None


class FindLink(Link):
    """An association for C-FIND of the Study Root model."""

    def __init__(self, peer: Peer, connection: Connection, accepted: Accepted, timeouts: Timeouts) -> None:
        super().__init__(peer)
        self._connection = connection
        self._timeouts = timeouts
        self._maximum_length = accepted.maximum_length
        #: Whether data sets are encoded in implicit VR little endian, otherwise in explicit VR little endian.
        self.implicit = accepted.contexts[_CONTEXT_ID] == ImplicitVRLittleEndian
        self._cancellation: Cancellation | None = None
        self._cancel_deadline = _NO_DEADLINE
        self._message_id = 0

    @property
    def alive(self) -> bool:
        """Whether another operation can be sent; a peer that said something in between has ended it."""
        return self._connection.is_quiet()

    def release(self) -> None:
        """End it in an orderly way; abort it if the peer does not follow."""
        if self._connection.closed:
            return
        with contextlib.suppress(TimeoutError, ProtocolError):
            self._connection.send(RELEASE_RQ)
            deadline = time.monotonic() + self._timeouts.connect_s
            while True:
                kind, _ = self._connection.pdu(deadline, _never)
                if kind == A_RELEASE_RP:
                    self._connection.close()
                    return
                if kind == A_RELEASE_RQ:
                    # Both ask at the same time (PS3.8 7.2.2.7).
                    self._connection.send(RELEASE_RP)
        self.abort()

    def abort(self) -> None:
        """End it at once: A-ABORT as far as it goes, then the connection."""
        if not self._connection.closed:
            with contextlib.suppress(AbortedError):
                self._connection.send(ABORT)
            self._connection.close()

    def answers(self, identifier: Dataset, cancellation: Cancellation | None) -> Iterator[Answer]:
        """Send one C-FIND and yield its answers; the last one is final, unless an error is raised.

        Raises:
            PeerError: the peer ended the association, said nothing for too long, or spoke no DICOM.
            InterruptedWorkError: stopping was asked for.
        """
        self._cancellation, self._cancel_deadline = cancellation, _NO_DEADLINE
        self._message_id = self.next_message_id()
        try:
            self._request(identifier)
            while True:
                answer = self._next()
                yield answer
                if answer.status_code not in PENDING:
                    return
        except TimeoutError:
            raise self._failure(
                PeerError(Outcome.TIMED_OUT, f"no answer for {self._timeouts.answer_s:g} s")
            ) from None
        except ProtocolError as error:
            raise self._failure(PeerError(Outcome.ABORTED, str(error))) from error

    def _failure(self, error: PeerError) -> PeerError | InterruptedWorkError:
        if self._cancellation is not None and self._cancellation.requested:
            return InterruptedWorkError(self._cancellation.reason)
        return error

    def _request(self, identifier: Dataset) -> None:
        encoded = encode(identifier, self.implicit, True)
        if encoded is None:
            raise PeerError(Outcome.NOT_SUPPORTED, "the request cannot be encoded", permanent=True)
        self._connection.send(
            self._p_data(c_find_rq(self._message_id, STUDY_ROOT_FIND), is_command=True)
            + self._p_data(encoded, is_command=False)
        )

    def _p_data(self, payload: bytes, *, is_command: bool) -> bytes:
        return p_data(_CONTEXT_ID, payload, is_command=is_command, maximum_length=self._maximum_length)

    def _next(self) -> Answer:
        self._look()
        message = self._connection.message(self._timeouts.answer_s, self._look)
        status_code = number_of(message.command, STATUS)
        if number_of(message.command, COMMAND_FIELD) != C_FIND_RSP or status_code is None:
            raise ProtocolError("a message that is no answer to a C-FIND")
        return Answer(status_code, message.data_set)

    def _look(self) -> float:
        """Send C-CANCEL once if stopping is asked for; return until when the peer has time to follow.

        Raises:
            TimeoutError: it has not followed.
        """
        if self._cancellation is not None and self._cancellation.requested:
            if self._cancel_deadline == _NO_DEADLINE:
                self._cancel_deadline = time.monotonic() + CANCEL_GRACE_S
                self._connection.send(self._p_data(c_cancel_rq(self._message_id), is_command=True))
            elif time.monotonic() >= self._cancel_deadline:
                raise TimeoutError
        return self._cancel_deadline


def open_find_link(peer: Peer, timeouts: Timeouts, *, cancellation: Cancellation | None = None) -> FindLink:
    """Open an association for C-FIND.

    Raises:
        PeerError: it does not stand, with the outcome.
        InterruptedWorkError: stopping was asked for.
    """

    def look() -> float:
        if cancellation is not None and cancellation.requested:
            raise InterruptedWorkError(cancellation.reason)
        return _NO_DEADLINE

    def associate(address: str) -> FindLink:
        connection = _connected(peer, address, timeouts)
        try:
            connection.send(_associate_rq(peer))
            kind, body = connection.pdu(time.monotonic() + timeouts.connect_s, look)
            return FindLink(peer, connection, _accepted(peer, kind, body), timeouts)
        except BaseException as error:
            _give_up(connection, error)
            if isinstance(error, TimeoutError):
                raise calling.not_answered(peer, timeouts) from None
            if isinstance(error, ProtocolError):
                raise calling.aborted(peer) from error
            raise

    return calling.call(peer, associate, cancellation)


def _connected(peer: Peer, address: str, timeouts: Timeouts) -> Connection:
    try:
        sock = socket.create_connection((address, peer.port), timeouts.connect_s)
    except OSError as error:
        raise calling.not_connected(peer, error, timeouts) from error
    return Connection(sock, timeouts.answer_s)


def _associate_rq(peer: Peer) -> bytes:
    return associate_rq(
        peer.ae_title,
        peer.calling_ae_title,
        [STUDY_ROOT_FIND],
        MAX_PDU_BYTES,
        _IMPLEMENTATION,
        relational=peer.relational_queries,
    )


def _accepted(peer: Peer, kind: int, body: bytes) -> Accepted:
    """Return what was negotiated.

    Raises:
        PeerError: the association does not stand.
        ProtocolError: the answer is none.
    """
    if kind == A_ASSOCIATE_RJ:
        answer = decode_rj(body)
        raise calling.rejected(peer, answer.result, answer.source, answer.reason)
    if kind != A_ASSOCIATE_AC:
        raise calling.aborted(peer)
    accepted = decode_ac(body)
    if accepted.contexts.get(_CONTEXT_ID) not in TRANSFER_SYNTAXES:
        raise calling.not_offered(peer)
    return accepted


def _give_up(connection: Connection, error: BaseException) -> None:
    """Close a connection on which no association stands; one that was rejected needs no A-ABORT."""
    rejected = isinstance(error, PeerError) and error.outcome is Outcome.REJECTED
    if not rejected:
        with contextlib.suppress(AbortedError):
            connection.send(ABORT)
    connection.close()


def _never() -> float:
    return _NO_DEADLINE
