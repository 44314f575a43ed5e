"""The association of a requestor of C-FIND: lean, without a thread, each answer as the bytes it is.

pynetdicom needs about 0.4 ms and two threads for an answer, and may lose one (its issue 875); queries are
nearly nothing but answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydicom.dataset import Dataset

from shared.dicom.asking_link import AskingLink
from shared.dicom.calling import Peer, Timeouts
from shared.dicom.cancellation import Cancellation
from shared.dicom.lean_link import open_lean_link
from shared.dicom.sop_classes import STUDY_ROOT_FIND
from shared.dicom.upper_layer.command import C_FIND_RSP, c_find_rq


class Answer(NamedTuple):
    """One C-FIND-RSP: its status, and the encoded match where there is one."""

    status_code: int
    identifier: bytes | None


class FindLink(AskingLink):
    """An association for C-FIND of the Study Root model."""

    answered_by = C_FIND_RSP

    def answers(self, identifier: Dataset, cancellation: Cancellation | None) -> Iterator[Answer]:
        """Send one C-FIND and yield its answers; the last one is final, unless an error is raised.

        Raises:
            PeerError: the peer ended the association, said nothing for too long, or spoke no DICOM.
            InterruptedWorkError: stopping was asked for.
        """
        message_id = self.next_message_id()
        command = c_find_rq(message_id, STUDY_ROOT_FIND)
        for status_code, message in self._answered(command, message_id, identifier, cancellation):
            yield Answer(status_code, message.data_set)


def open_find_link(peer: Peer, timeouts: Timeouts, *, cancellation: Cancellation | None = None) -> FindLink:
    """Open an association for C-FIND.

    Raises:
        PeerError: it does not stand, with the outcome.
        InterruptedWorkError: stopping was asked for.
    """
    return open_lean_link(FindLink, peer, STUDY_ROOT_FIND, timeouts, cancellation=cancellation)
