"""The association on which a storage commitment is requested, and may be reported on (PS3.4 J.3)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from shared.dicom.association.native import NO_DEADLINE, NativeAssociation, open_native_association
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from shared.dicom.storage_commitment.messages import (
    PROCESSING_FAILURE,
    REQUEST_ACTION,
    SUCCESS,
    CommitmentResult,
    Reference,
    RefusedEventError,
    action_error,
    encode_request,
    read_report,
)
from shared.dicom.upper_layer.associate_requestor import AssociateAccept
from shared.dicom.upper_layer.connection import AbortedError, Connection
from shared.dicom.upper_layer.dimse_command import (
    ACTION_TYPE_ID,
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    COMMAND_FIELD,
    EVENT_TYPE_ID,
    MESSAGE_ID,
    MESSAGE_ID_BEING_RESPONDED_TO,
    N_ACTION_RQ,
    N_ACTION_RSP,
    N_EVENT_REPORT_RQ,
    N_EVENT_REPORT_RSP,
    REQUESTED_SOP_CLASS_UID,
    REQUESTED_SOP_INSTANCE_UID,
    STATUS,
    encode_command,
    number_of,
)
from shared.dicom.upper_layer.dimse_message import DimseMessage
from shared.dicom.upper_layer.errors import ProtocolError


class CommitmentAssociation(NativeAssociation):
    """An association for the Storage Commitment Push Model, of which we are the SCU."""

    def __init__(
        self, peer: Peer, connection: Connection, accepted: AssociateAccept, timeouts: Timeouts
    ) -> None:
        super().__init__(peer, connection, accepted, timeouts)
        self._cancellation: Cancellation | None = None
        self._transaction_uid = ""
        self._reports: deque[CommitmentResult] = deque()

    def request(
        self, transaction_uid: str, references: Sequence[Reference], cancellation: Cancellation | None = None
    ) -> None:
        """Send one request and wait until it is accepted; a report that comes before that is kept.

        Without a response the association is aborted, so that no late one meets the next request.

        Raises:
            PeerError: it is refused, or there is no response.
            InterruptedWorkError: the work was stopped.
        """
        self._cancellation, self._transaction_uid = cancellation, transaction_uid
        message_id = self.next_message_id()
        try:
            self._request(message_id, encode_request(transaction_uid, references, implicit=self.implicit))
            status_code = self._status_of(message_id)
        except TimeoutError:
            self.abort()
            seconds = self._timeouts.response_s
            raise PeerError(Outcome.TIMED_OUT, f"no response for {seconds:g} s") from None
        except ProtocolError as error:
            self.abort()
            raise PeerError(Outcome.ABORTED, str(error)) from error
        refused = action_error(status_code)
        if refused is not None:
            raise refused

    def report(self, wait_s: float) -> CommitmentResult | None:
        """Return the report on the request, None if it does not come here within `wait_s` seconds.

        Raises:
            InterruptedWorkError: the work was stopped.
            PeerError: the peer ended the association, or spoke no DICOM: nothing more comes here.
        """
        try:
            if not self._reports:
                self._take_event(self._message(wait_s, self._check_cancelled))
        except TimeoutError:
            return None
        except ProtocolError as error:
            self._connection.close()
            raise PeerError(Outcome.ABORTED, str(error)) from error
        return self._reports.popleft() if self._reports else None

    def _request(self, message_id: int, action_information: bytes) -> None:
        command = encode_command(
            {
                REQUESTED_SOP_CLASS_UID: STORAGE_COMMITMENT,
                COMMAND_FIELD: N_ACTION_RQ,
                MESSAGE_ID: message_id,
                REQUESTED_SOP_INSTANCE_UID: STORAGE_COMMITMENT_INSTANCE,
                ACTION_TYPE_ID: REQUEST_ACTION,
            },
            has_data_set=True,
        )
        self._send(
            self._p_data(command, is_command=True) + self._p_data(action_information, is_command=False)
        )

    def _status_of(self, message_id: int) -> int:
        deadline = time.monotonic() + self._timeouts.response_s
        while time.monotonic() < deadline:
            message = self._message(deadline - time.monotonic(), self._check_cancelled)
            if number_of(message.command, COMMAND_FIELD) == N_EVENT_REPORT_RQ:
                self._take_event(message)
                continue
            status_code = number_of(message.command, STATUS)
            responses = number_of(message.command, MESSAGE_ID_BEING_RESPONDED_TO) == message_id
            if (
                number_of(message.command, COMMAND_FIELD) != N_ACTION_RSP
                or not responses
                or status_code is None
            ):
                raise ProtocolError("a message that is no response to an N-ACTION")
            return status_code
        raise TimeoutError

    def _take_event(self, message: DimseMessage) -> None:
        """Respond to an N-EVENT-REPORT; one on another transaction is refused, so that it goes elsewhere."""
        command = message.command
        if number_of(command, COMMAND_FIELD) != N_EVENT_REPORT_RQ:
            raise ProtocolError("a message that is no N-EVENT-REPORT")
        message_id = number_of(command, MESSAGE_ID)
        if message_id is None:
            raise ProtocolError("a request without a message id")
        instance_uid = command.get(AFFECTED_SOP_INSTANCE_UID, b"").decode("latin-1").rstrip("\0 ")
        event_type_id = number_of(command, EVENT_TYPE_ID)
        try:
            report = read_report(event_type_id, instance_uid, message.data_set or b"")
        except RefusedEventError as refused:
            self._respond(message_id, refused.status_code)
            return
        if report.transaction_uid != self._transaction_uid:
            self._respond(message_id, PROCESSING_FAILURE)
            return
        self._reports.append(report)
        self._respond(message_id, SUCCESS)

    def _respond(self, message_id: int, status_code: int) -> None:
        command = encode_command(
            {
                AFFECTED_SOP_CLASS_UID: STORAGE_COMMITMENT,
                COMMAND_FIELD: N_EVENT_REPORT_RSP,
                MESSAGE_ID_BEING_RESPONDED_TO: message_id,
                STATUS: status_code,
                AFFECTED_SOP_INSTANCE_UID: STORAGE_COMMITMENT_INSTANCE,
            },
            has_data_set=False,
        )
        try:
            self._send(self._p_data(command, is_command=True))
        except AbortedError:
            # Its report is known; without our response it may send it again, which changes nothing.
            self._connection.close()

    def _check_cancelled(self) -> float:
        if self._cancellation is not None and self._cancellation.requested:
            raise InterruptedWorkError(self._cancellation.reason)
        return NO_DEADLINE


def open_commitment_association(
    peer: Peer, timeouts: Timeouts, *, cancellation: Cancellation | None = None
) -> CommitmentAssociation:
    """Open an association for storage commitment.

    Raises:
        PeerError: it is not established, with the outcome.
        InterruptedWorkError: the work was stopped.
    """
    return open_native_association(
        CommitmentAssociation, peer, STORAGE_COMMITMENT, timeouts, cancellation=cancellation
    )
