"""The association of a requestor of C-FIND: lean, without a thread, each answer as the bytes it is.

pynetdicom needs about 0.4 ms and two threads for an answer, and may lose one (its issue 875); queries are
nearly nothing but answers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from shared.dicom.calling import Peer, Timeouts
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.lean_link import NO_DEADLINE, LeanLink, open_lean_link
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
from shared.dicom.upper_layer.connection import Connection
from shared.dicom.upper_layer.errors import ProtocolError
from shared.dicom.upper_layer.negotiation import Accepted

#: Statuses with a match (PS3.4 C.4.1.1.4).
PENDING = frozenset({0xFF00, 0xFF01})


class Answer(NamedTuple):
    """One C-FIND-RSP: its status, and the encoded match where there is one."""

    status_code: int
    identifier: bytes | None


class FindLink(LeanLink):
    """An association for C-FIND of the Study Root model."""

    def __init__(self, peer: Peer, connection: Connection, accepted: Accepted, timeouts: Timeouts) -> None:
        super().__init__(peer, connection, accepted, timeouts)
        self._cancellation: Cancellation | None = None
        self._cancel_deadline = NO_DEADLINE
        self._message_id = 0

    def answers(self, identifier: Dataset, cancellation: Cancellation | None) -> Iterator[Answer]:
        """Send one C-FIND and yield its answers; the last one is final, unless an error is raised.

        Raises:
            PeerError: the peer ended the association, said nothing for too long, or spoke no DICOM.
            InterruptedWorkError: stopping was asked for.
        """
        self._cancellation, self._cancel_deadline = cancellation, NO_DEADLINE
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
            if self._cancel_deadline == NO_DEADLINE:
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
    return open_lean_link(FindLink, peer, STUDY_ROOT_FIND, timeouts, cancellation=cancellation)
