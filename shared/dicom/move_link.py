"""The association of a requestor of C-MOVE: lean, without a thread.

While objects are sent elsewhere a PACS says how far it is, for each of them. With pynetdicom each association
has two threads that look a thousand times a second: sixteen moves at once would take a processor to wait.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from shared.dicom.asking_link import AskingLink
from shared.dicom.calling import Peer, Timeouts
from shared.dicom.cancellation import Cancellation
from shared.dicom.lean_link import open_lean_link
from shared.dicom.sop_classes import STUDY_ROOT_MOVE
from shared.dicom.sub_operations import MoveAnswer, SubOperations, uids_of
from shared.dicom.upper_layer.command import (
    C_MOVE_RSP,
    COMPLETED_SUB_OPERATIONS,
    FAILED_SUB_OPERATIONS,
    REMAINING_SUB_OPERATIONS,
    WARNING_SUB_OPERATIONS,
    c_move_rq,
    number_of,
)
from shared.dicom.upper_layer.data_set import elements_of
from shared.dicom.upper_layer.errors import MalformedDataSetError
from shared.dicom.upper_layer.messages import Message

_FAILED_SOP_INSTANCE_UID_LIST = 0x00080058


class MoveLink(AskingLink):
    """An association for C-MOVE of the Study Root model."""

    answered_by = C_MOVE_RSP

    def answers(
        self, identifier: Dataset, move_destination: str, cancellation: Cancellation | None
    ) -> Iterator[MoveAnswer]:
        """Send one C-MOVE and yield its answers; the last one is final, unless an error is raised.

        Raises:
            PeerError: the peer ended the association, said nothing for too long, or spoke no DICOM.
            InterruptedWorkError: stopping was asked for.
        """
        message_id = self.next_message_id()
        command = c_move_rq(message_id, STUDY_ROOT_MOVE, move_destination)
        for status_code, message in self._answered(command, message_id, identifier, cancellation):
            yield MoveAnswer(status_code, _counters(message), self._failed_uids(message.data_set))

    def _failed_uids(self, encoded: bytes | None) -> tuple[str, ...]:
        """Return the Failed SOP Instance UID List as far as it can be read."""
        if not encoded:
            return ()
        try:
            value = elements_of(encoded, implicit=self.implicit).get(_FAILED_SOP_INSTANCE_UID_LIST, b"")
        except MalformedDataSetError:
            return ()
        return uids_of(text.strip(" \0") for text in value.decode("ascii", "replace").split("\\"))


def open_move_link(peer: Peer, timeouts: Timeouts, *, cancellation: Cancellation | None = None) -> MoveLink:
    """Open an association for C-MOVE.

    Raises:
        PeerError: it does not stand, with the outcome.
        InterruptedWorkError: stopping was asked for.
    """
    return open_lean_link(MoveLink, peer, STUDY_ROOT_MOVE, timeouts, cancellation=cancellation)


def _counters(message: Message) -> SubOperations:
    return SubOperations(
        remaining=number_of(message.command, REMAINING_SUB_OPERATIONS),
        completed=number_of(message.command, COMPLETED_SUB_OPERATIONS),
        failed=number_of(message.command, FAILED_SUB_OPERATIONS),
        warning=number_of(message.command, WARNING_SUB_OPERATIONS),
    )
