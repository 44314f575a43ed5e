"""The association of a requestor for an operation with many responses: C-FIND, C-MOVE."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from shared.dicom.association.native import NO_DEADLINE, NativeAssociation
from shared.dicom.association.operation_deadline import CANCEL_GRACE_S, OperationDeadline
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.upper_layer.associate_requestor import AssociateAccept
from shared.dicom.upper_layer.connection import AbortedError, Connection
from shared.dicom.upper_layer.dimse_command import COMMAND_FIELD, STATUS, c_cancel_rq, number_of
from shared.dicom.upper_layer.dimse_message import DimseMessage
from shared.dicom.upper_layer.errors import ProtocolError

#: Statuses of responses that others follow (PS3.4 C.4.1.1.4, C.4.2.1.5).
PENDING = frozenset({0xFF00, 0xFF01})


#: Seconds for a data set that a final response announces: some peers announce one and send none.
FINAL_DATA_SET_S = 2.0


class Response(NamedTuple):
    """One response: its status, and its message."""

    status_code: int
    message: DimseMessage


class OperationAssociation(NativeAssociation):
    """An association for one operation; one request at a time, each with responses up to a final one."""

    #: Command Field of its responses (PS3.7 E.1).
    response_field: int

    def __init__(
        self, peer: Peer, connection: Connection, accepted: AssociateAccept, timeouts: Timeouts
    ) -> None:
        super().__init__(peer, connection, accepted, timeouts)
        self._cancellation: Cancellation | None = None
        self._cancel_deadline = NO_DEADLINE
        self._deadline: OperationDeadline | None = None
        self._message_id = 0
        #: Until when the data set of a final response may begin.
        self._data_set_deadline = NO_DEADLINE

    def _responses(
        self,
        command: bytes,
        message_id: int,
        identifier: Dataset,
        cancellation: Cancellation | None,
        deadline: OperationDeadline,
    ) -> Iterator[Response]:
        """Send a request and yield its responses; the last one is final, unless an error is raised.

        Raises:
            PeerError: the peer ended the association, was silent or busy for too long, or spoke no DICOM.
            InterruptedWorkError: the work was stopped.
        """
        self._cancellation, self._cancel_deadline = cancellation, NO_DEADLINE
        self._deadline, began, responses = deadline, time.monotonic(), 0
        self._message_id = message_id
        try:
            self._request(command, identifier)
            while True:
                response = self._next()
                responses += 1
                yield response
                if response.status_code not in PENDING:
                    return
        except TimeoutError:
            raise self._failure(self._timed_out(time.monotonic() - began, responses)) from None
        except AbortedError as error:
            raise self._failure(PeerError(Outcome.ABORTED, str(error))) from error
        except ProtocolError as error:
            detail = f"by DoseQR, since the peer sent {error}"
            raise self._failure(PeerError(Outcome.ABORTED, detail)) from error

    def _timed_out(self, took_s: float, responses: int) -> PeerError:
        if self._deadline is None or not self._deadline.is_over:
            return PeerError(Outcome.TIMED_OUT, f"no response for {self._timeouts.response_s:g} s")
        detail = f"no final response after {took_s:.0f} s, with {responses} pending responses"
        return PeerError(Outcome.TIMED_OUT, f"{detail}; the request was ended here")

    def _failure(self, error: PeerError) -> PeerError | InterruptedWorkError:
        if self._cancellation is not None and self._cancellation.requested:
            return InterruptedWorkError(self._cancellation.reason)
        return error

    def _request(self, command: bytes, identifier: Dataset) -> None:
        encoded = encode(identifier, self.implicit, True)
        if encoded is None:
            raise PeerError(Outcome.NOT_SUPPORTED, "the request cannot be encoded", permanent=True)
        self._send(self._p_data(command, is_command=True) + self._p_data(encoded, is_command=False))

    def _next(self) -> Response:
        self._check_cancelled()
        return self._response(self._message_or_command())

    def _response(self, message: DimseMessage) -> Response:
        status_code = number_of(message.command, STATUS)
        if number_of(message.command, COMMAND_FIELD) != self.response_field:
            raise ProtocolError("a message that is no response to the request")
        if status_code is None:
            raise ProtocolError("a response without Status (0000,0900)")
        return Response(status_code, message)

    def _message_or_command(self) -> DimseMessage:
        """Return the next message; a final response is taken without the data set that does not come.

        Raises:
            TimeoutError: nothing comes in time.
            ProtocolError: the peer has ended the association, or sends what is no message.
        """
        self._data_set_deadline = NO_DEADLINE
        try:
            return self._message(self._timeouts.response_s, self._check_awaited)
        except TimeoutError:
            if not self._awaits_only_data_set():
                raise
            return self._assembler.without_data_set()

    def _check_awaited(self) -> float:
        until = self._check_cancelled()
        if self._awaits_only_data_set():
            self._data_set_deadline = min(self._data_set_deadline, time.monotonic() + FINAL_DATA_SET_S)
            until = min(until, self._data_set_deadline)
        return until

    def _awaits_only_data_set(self) -> bool:
        """Return whether a final response came, apart from the data set that it announces."""
        command = self._assembler.awaited
        if command is None or number_of(command, COMMAND_FIELD) != self.response_field:
            return False
        return number_of(command, STATUS) not in (None, *PENDING)

    def _check_cancelled(self) -> float:
        """Send C-CANCEL once the work is to stop; return until when the peer has time.

        Raises:
            TimeoutError: the time is over, for this or for the operation.
        """
        assert self._deadline is not None
        if self._deadline.is_over:
            raise TimeoutError
        if self._cancellation is not None and self._cancellation.requested:
            if self._cancel_deadline == NO_DEADLINE:
                self._cancel_deadline = time.monotonic() + CANCEL_GRACE_S
                self._send(self._p_data(c_cancel_rq(self._message_id), is_command=True))
            elif time.monotonic() >= self._cancel_deadline:
                raise TimeoutError
        return min(self._cancel_deadline, self._deadline.at)
