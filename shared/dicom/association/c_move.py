"""C-MOVE (PS3.4 C.4.2): one request, its live counters, and the final status, which is always checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from pydicom.dataset import Dataset

from shared.dicom.association.dimse_operation import OperationAssociation
from shared.dicom.association.native import open_native_association
from shared.dicom.association.operation_deadline import OperationDeadline
from shared.dicom.association.sub_operations import (
    MoveResponse,
    MoveResult,
    ProgressWatch,
    SubOperations,
    result_of,
    uids_of,
)
from shared.dicom.cancellation import Cancellation
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.sop_classes import STUDY_ROOT_MOVE
from shared.dicom.upper_layer.data_elements import elements_of
from shared.dicom.upper_layer.dimse_command import (
    C_MOVE_RSP,
    COMPLETED_SUB_OPERATIONS,
    FAILED_SUB_OPERATIONS,
    REMAINING_SUB_OPERATIONS,
    WARNING_SUB_OPERATIONS,
    c_move_rq,
    number_of,
)
from shared.dicom.upper_layer.dimse_message import DimseMessage
from shared.dicom.upper_layer.errors import MalformedDataSetError

_FAILED_SOP_INSTANCE_UID_LIST = 0x00080058


class MoveAssociation(OperationAssociation):
    """An association for C-MOVE of the Study Root model."""

    response_field = C_MOVE_RSP
    operation = "C-MOVE"

    def c_move(
        self,
        identifier: Dataset,
        move_destination: str,
        on_progress: Callable[[SubOperations], None] | None = None,
        cancellation: Cancellation | None = None,
    ) -> MoveResult:
        """Send one C-MOVE and wait for its end; the result holds what went wrong.

        `on_progress` is called with the counters of each pending response. The association is aborted if no
        final response came, so that no late one meets the next request.

        Raises:
            NotNowError: the node's limits do not allow a request now.
            InterruptedWorkError: the work was stopped while it waited for these limits.
        """
        self.admit()
        watch = ProgressWatch(self._timeouts.response_s)
        responses = self._move_responses(identifier, move_destination, cancellation, watch.deadline)
        result = result_of(responses, watch, on_progress, cancellation)
        if result.status_code is None:
            self.abort()
        return result

    def _move_responses(
        self,
        identifier: Dataset,
        move_destination: str,
        cancellation: Cancellation | None,
        deadline: OperationDeadline,
    ) -> Iterator[MoveResponse]:
        """Send one C-MOVE and yield its responses; the last one is final, unless an error is raised.

        Raises:
            PeerError: the peer ended the association, was silent for too long, or spoke no DICOM.
            InterruptedWorkError: the work was stopped.
        """
        message_id = self.next_message_id()
        command = c_move_rq(message_id, STUDY_ROOT_MOVE, move_destination)
        for status_code, message in self._responses(command, message_id, identifier, cancellation, deadline):
            yield move_response(status_code, message)


def open_move_association(
    peer: Peer, timeouts: Timeouts, *, cancellation: Cancellation | None = None
) -> MoveAssociation:
    """Open an association for C-MOVE.

    Raises:
        PeerError: it is not established, with the outcome.
        InterruptedWorkError: the work was stopped.
    """
    return open_native_association(
        MoveAssociation, peer, STUDY_ROOT_MOVE, timeouts, cancellation=cancellation
    )


def move_response(status_code: int, message: DimseMessage) -> MoveResponse:
    """Return the response in a message, to a C-MOVE or C-GET (PS3.7 9.1.3.1, 9.1.4.1)."""
    return MoveResponse(status_code, _counters(message), _failed_uids(message.data_set))


def _failed_uids(encoded: bytes | None) -> tuple[str, ...]:
    """Return the Failed SOP Instance UID List as far as it can be read."""
    if not encoded:
        return ()
    try:
        value = elements_of(encoded).get(_FAILED_SOP_INSTANCE_UID_LIST, b"")
    except MalformedDataSetError:
        return ()
    return uids_of(text.strip(" \0") for text in value.decode("ascii", "replace").split("\\"))


def _counters(message: DimseMessage) -> SubOperations:
    return SubOperations(
        remaining=number_of(message.command, REMAINING_SUB_OPERATIONS),
        completed=number_of(message.command, COMPLETED_SUB_OPERATIONS),
        failed=number_of(message.command, FAILED_SUB_OPERATIONS),
        warning=number_of(message.command, WARNING_SUB_OPERATIONS),
    )


MoveLevel = Literal["SERIES", "IMAGE"]


def move_identifier(
    level: MoveLevel,
    study_instance_uids: Sequence[str],
    series_instance_uids: Sequence[str],
    sop_instance_uids: Sequence[str] = (),
) -> Dataset:
    """Return the identifier of a C-MOVE: unique keys only (PS3.4 C.4.2.1.4)."""
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    if study_instance_uids:
        ds.StudyInstanceUID = list(study_instance_uids)
    if series_instance_uids:
        ds.SeriesInstanceUID = list(series_instance_uids)
    if level == "IMAGE":
        ds.SOPInstanceUID = list(sop_instance_uids)
    return ds
