"""C-STORE as SCU (PS3.4 annex B): an object goes to a store in pieces, never as a whole in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shared.dicom.association.native import NativeAssociation, open_with_proposals
from shared.dicom.cancellation import Cancellation
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.relay.fetched_object import ObjectFile
from shared.dicom.upper_layer.associate_requestor import AssociateAccept, Proposal
from shared.dicom.upper_layer.connection import AbortedError, Connection
from shared.dicom.upper_layer.dimse_command import (
    C_STORE_RSP,
    COMMAND_FIELD,
    MESSAGE_ID_BEING_RESPONDED_TO,
    STATUS,
    c_store_rq,
    number_of,
)
from shared.dicom.upper_layer.errors import ProtocolError
from shared.dicom.upper_layer.pdu import LAST, Pdv, fragment_bytes, p_data_tf


class StorageAssociation(NativeAssociation):
    """An association on which objects of several classes and transfer syntaxes are sent."""

    def __init__(
        self, peer: Peer, connection: Connection, accepted: AssociateAccept, timeouts: Timeouts
    ) -> None:
        super().__init__(peer, connection, accepted, timeouts)
        self._context_ids = {kind: context_id for context_id, kind in accepted.agreed().items()}

    def context_id(self, sop_class_uid: str, transfer_syntax_uid: str) -> int | None:
        """Return the context for objects of this class in this transfer syntax, None if there is none."""
        return self._context_ids.get((sop_class_uid, transfer_syntax_uid))

    def c_store(
        self,
        context_id: int,
        sop_class_uid: str,
        sop_instance_uid: str,
        data_set: ObjectFile,
        check: Callable[[], float],
    ) -> int:
        """Send an object from the begin of its file; return the status of the response.

        `check` is called while it is under way; it returns a deadline, or raises. The association is aborted
        if no response came.

        Raises:
            TimeoutError: there is no response in time, or `check` raised it.
            ProtocolError: the peer has ended the association, or sent what is no response to the request.
        """
        if not self.alive:
            self.abort()
            raise AbortedError("the association was ended between two requests")
        try:
            message_id = self.next_message_id()
            command = c_store_rq(message_id, sop_class_uid, sop_instance_uid)
            self._send(self._p_data(command, is_command=True, context_id=context_id))
            self._send_data_set(context_id, data_set, check)
            return self._status_of(message_id, check)
        except BaseException:
            self.abort()
            raise

    def _send_data_set(self, context_id: int, data_set: ObjectFile, check: Callable[[], float]) -> None:
        size_bytes = fragment_bytes(self._maximum_length)
        data_set.seek(0)
        fragment = data_set.read(size_bytes)
        while True:
            check()
            following = data_set.read(size_bytes)
            self._send(p_data_tf(Pdv(context_id, 0 if following else LAST, fragment)))
            if not following:
                return
            fragment = following

    def _status_of(self, message_id: int, check: Callable[[], float]) -> int:
        command = self._message(self._timeouts.response_s, check).command
        status_code = number_of(command, STATUS)
        if number_of(command, COMMAND_FIELD) != C_STORE_RSP or status_code is None:
            raise ProtocolError("a message that is no response to a C-STORE")
        if number_of(command, MESSAGE_ID_BEING_RESPONDED_TO) not in (None, 0, message_id):
            raise ProtocolError("a response to another C-STORE")
        return status_code


def open_storage_association(
    peer: Peer,
    proposals: Sequence[Proposal],
    timeouts: Timeouts,
    *,
    cancellation: Cancellation | None = None,
) -> StorageAssociation:
    """Open an association for objects of these classes, each with the transfer syntaxes that it may have.

    Raises:
        PeerError: it is not established, with the outcome.
        InterruptedWorkError: the work was stopped.
    """
    return open_with_proposals(StorageAssociation, peer, proposals, timeouts, cancellation=cancellation)
