"""C-GET (PS3.4 C.4.3): objects come over our own association, and each goes on to a store by C-STORE.

Without bulk data (PS3.4 annex Z) headers come, and go on as such.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import starmap

from pydicom.dataset import Dataset

from shared.dicom.association.c_move import move_response
from shared.dicom.association.dimse_operation import OperationAssociation, Response
from shared.dicom.association.native import CONTEXT_ID, open_with_proposals
from shared.dicom.association.sub_operations import MoveResult, ProgressWatch, SubOperations, result_of
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import NotNowError, Outcome, PeerError, StoreError
from shared.dicom.header_objects.bulk_sieve import PIXEL_DATA, BulkSieve
from shared.dicom.header_objects.mark import Origin, Way
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.relay.c_store import open_storage_association
from shared.dicom.relay.fetched_object import MAX_OBJECT_BYTES, FetchedObject, ObjectFile
from shared.dicom.relay.object_relay import ObjectRelay
from shared.dicom.sop_classes import (
    CONTEXTS_MOST,
    STUDY_ROOT_GET,
    WHOLE_CLASSES,
    WITHOUT_BULK_DATA_GET,
    Offer,
    offers,
)
from shared.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from shared.dicom.upper_layer.associate_requestor import (
    TRANSFER_SYNTAXES,
    AssociateAccept,
    Proposal,
)
from shared.dicom.upper_layer.connection import Connection
from shared.dicom.upper_layer.dimse_command import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    C_GET_RSP,
    C_STORE_RQ,
    COMMAND_FIELD,
    MESSAGE_ID,
    c_get_rq,
    c_store_rsp,
    number_of,
    text_of,
)
from shared.dicom.upper_layer.dimse_message import DimseMessage, MessageAssembler
from shared.dicom.upper_layer.errors import MalformedDataSetError, ProtocolError
from shared.dicom.upper_layer.receive_rate import LEAST_BYTES_PER_S, ReceiveRate

#: Headers are not compressed.
_HEADER_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
_READ_BYTES = 1 << 16
#: Seconds for objects that the counters of a final response speak of and that have not come.
LATE_OBJECTS_S = 2.0


@dataclass(slots=True)
class Fetched:
    """The result of one C-GET."""

    result: MoveResult
    #: SOP Instance UIDs of the objects that the store has stored.
    stored: set[str] = field(default_factory=set)
    #: What the store refused, in words; empty if nothing.
    refusal: str = ""


class GetAssociation(OperationAssociation):
    """An association for C-GET, over which the peer sends its objects."""

    response_field = C_GET_RSP
    operation = "C-GET"
    #: The SOP class of the service.
    service = STUDY_ROOT_GET

    def __init__(
        self, peer: Peer, connection: Connection, accepted: AssociateAccept, timeouts: Timeouts
    ) -> None:
        super().__init__(peer, connection, accepted, timeouts)
        agreed = accepted.agreed()
        self.offers_c_get = agreed.pop(CONTEXT_ID, None) is not None
        #: Whether objects may come: for a class that was agreed, we are the SCP.
        self.offers_objects = any(
            (roles := accepted.roles.get(sop_class_uid)) is not None and roles.scp
            for sop_class_uid, _ in agreed.values()
        )
        #: Storage class and transfer syntax of each context over which objects are taken, also from a peer
        #: that agrees to our role for some classes only, and sends the others all the same.
        self.contexts = agreed
        self._assembler = MessageAssembler(self._sink_for)
        self._relay: ObjectRelay | None = None
        self._open_file: Callable[[], ObjectFile] = BytesIO

    def c_get(
        self,
        identifier: Dataset,
        store: Peer,
        timeouts: Timeouts,
        on_progress: Callable[[SubOperations], None] | None = None,
        cancellation: Cancellation | None = None,
        *,
        open_file: Callable[[], ObjectFile] = BytesIO,
    ) -> Fetched:
        """Send one C-GET and hand every object on to `store`; the result holds what went wrong.

        Each object is in a file of `open_file` until the store has it.

        Raises:
            StoreError: the store accepts no association; no request was sent.
            NotNowError: the node's limits do not allow a request now.
            InterruptedWorkError: the work was stopped.
        """
        kinds = [(abstract, (transfer,)) for abstract, transfer in sorted(self._kinds())]
        try:
            out = open_storage_association(store, kinds, timeouts, cancellation=cancellation)
        except NotNowError:
            raise
        except PeerError as error:
            raise StoreError(error) from error
        watch = ProgressWatch(timeouts.response_s)
        self._relay = relay = ObjectRelay(out, identifier, watch.deadline, self._check_cancelled)
        self._open_file = open_file
        try:
            self.admit()
            result = self._followed(identifier, on_progress, cancellation, watch)
            self._take_late_objects(relay, result)
        finally:
            self._relay = None
            out.release()
        if relay.refusal and isinstance(result.error, PeerError) and result.status_code is not None:
            result.error = _with_refusal(result.error, relay.refusal)
        if relay.error is not None and not relay.stored:
            result.error = result.error or relay.error
        return Fetched(result, relay.stored, relay.refusal)

    #: The name of this operation for all protocols.
    fetch = c_get

    def _followed(
        self,
        identifier: Dataset,
        on_progress: Callable[[SubOperations], None] | None,
        cancellation: Cancellation | None,
        watch: ProgressWatch,
    ) -> MoveResult:
        """Send the request and take its responses to the end."""
        message_id = self.next_message_id()
        command = c_get_rq(message_id, self.service)
        responses = self._responses(command, message_id, identifier, cancellation, watch.deadline)
        result = result_of(starmap(move_response, responses), watch, on_progress, cancellation)
        if result.status_code is None:
            self.abort()
        return result

    def _take_late_objects(self, relay: ObjectRelay, result: MoveResult) -> None:
        """Take what a peer still sends after its final response, which should be the last (PS3.4 C.4.3.3)."""
        counters = result.sub_operations
        sent = (counters.completed or 0) + (counters.warning or 0)
        until = time.monotonic() + min(LATE_OBJECTS_S, self._timeouts.response_s)
        try:
            while result.error is None and relay.objects < sent:
                self._take_late_object(self._message(LATE_OBJECTS_S, lambda: until))
        except TimeoutError:
            pass  # its counters were wrong
        except (ProtocolError, PeerError):
            self.abort()

    def _take_late_object(self, message: DimseMessage) -> None:
        if number_of(message.command, COMMAND_FIELD) != C_STORE_RQ:
            raise ProtocolError("a message after the final response")
        self._take_object(message)

    @classmethod
    def offered(cls, storage_classes: Sequence[str]) -> Sequence[Offer]:
        """Return the contexts over which objects of these classes may come."""
        return offers(storage_classes)

    # Sub-operations

    def _kinds(self) -> set[tuple[str, str]]:
        """Return storage class and transfer syntax of what is handed on."""
        return set(self.contexts.values())

    def _to_relay(
        self, received: FetchedObject | None, transfer_syntax_uid: str
    ) -> tuple[FetchedObject | None, str]:
        """Return what is handed on of an object that came, and its transfer syntax."""
        return received, transfer_syntax_uid

    def _next(self) -> Response:
        """Return the next response; objects that come before it are handed on."""
        while True:
            self._check_cancelled()
            message = self._message_or_command()
            if number_of(message.command, COMMAND_FIELD) != C_STORE_RQ:
                return self._response(message)
            self._take_object(message)

    def _message(self, within_s: float, check: Callable[[], float]) -> DimseMessage:
        """Return the next message; an object may take longer, as long as it comes at the least rate."""
        rate = ReceiveRate(within_s)
        while not self._messages:
            began = time.monotonic()
            kind, body = self._connection.pdu_until(began + rate.left_s, check)
            self._take(kind, body)
            rate.came(len(body), time.monotonic() - began)
        return self._messages.popleft()

    def _sink_for(self, context_id: int, command: Mapping[int, bytes]) -> FetchedObject | None:
        """Return where an object goes; responses stay in memory."""
        if number_of(command, COMMAND_FIELD) != C_STORE_RQ or self._relay is None:
            return None
        self._kind_of(context_id)
        wanted = self._relay.may_want(text_of(command, AFFECTED_SOP_INSTANCE_UID))
        return FetchedObject(self._open_file if wanted else None, self._object_came, MAX_OBJECT_BYTES)

    def _object_came(self, size_bytes: int) -> None:
        assert self._deadline is not None
        self._deadline.progressed(size_bytes / LEAST_BYTES_PER_S)

    def _kind_of(self, context_id: int) -> tuple[str, str]:
        kind = self.contexts.get(context_id)
        if kind is None:
            raise ProtocolError(f"an object in presentation context {context_id}, which is not for objects")
        return kind

    def _take_object(self, message: DimseMessage) -> None:
        """Hand one object on, and respond with the store's status."""
        _, transfer_syntax_uid = self._kind_of(message.context_id)
        message_id = number_of(message.command, MESSAGE_ID)
        if message_id is None or self._relay is None:
            raise ProtocolError("an object that cannot be responded to")
        sop_class_uid = text_of(message.command, AFFECTED_SOP_CLASS_UID)
        sop_instance_uid = text_of(message.command, AFFECTED_SOP_INSTANCE_UID)
        received = message.sink if isinstance(message.sink, FetchedObject) else None
        try:
            received, transfer_syntax_uid = self._to_relay(received, transfer_syntax_uid)
            status_code = self._relay.take(sop_class_uid, sop_instance_uid, transfer_syntax_uid, received)
        finally:
            if received is not None:
                received.close()
        response = c_store_rsp(message_id, sop_class_uid, sop_instance_uid, status_code)
        self._send(self._p_data(response, is_command=True, context_id=message.context_id))

    def abort(self) -> None:
        """Abort it, and give up the objects that have come and were not handed on."""
        super().abort()
        for message in self._messages:
            if isinstance(message.sink, FetchedObject):
                message.sink.close()


class HeaderGetAssociation(GetAssociation):
    """An association over which the peer sends objects without their bulk data."""

    operation = "C-GET without bulk data"
    service = WITHOUT_BULK_DATA_GET

    @classmethod
    def offered(cls, storage_classes: Sequence[str]) -> Sequence[Offer]:
        """Return the contexts for headers; objects of classes that are always whole come otherwise."""
        wanted = [uid for uid in storage_classes if uid not in WHOLE_CLASSES]
        return [(uid, _HEADER_SYNTAXES) for uid in wanted[:CONTEXTS_MOST]]

    def _kinds(self) -> set[tuple[str, str]]:
        return {(sop_class_uid, EXPLICIT_VR_LITTLE_ENDIAN) for sop_class_uid, _ in self.contexts.values()}

    def _to_relay(
        self, received: FetchedObject | None, transfer_syntax_uid: str
    ) -> tuple[FetchedObject | None, str]:
        header = None if received is None else _header_of(received, transfer_syntax_uid)
        if received is None or header is None:
            return received, transfer_syntax_uid
        received.close()
        return header, EXPLICIT_VR_LITTLE_ENDIAN


def _with_refusal(error: PeerError, refusal: str) -> PeerError:
    """Return the error for a final status, with what the store refused: the peer only counted that."""
    detail = f"{error.detail}; {refusal}"
    return PeerError(error.outcome, detail, status_code=error.status_code, permanent=error.permanent)


def _header_of(received: FetchedObject, transfer_syntax_uid: str) -> FetchedObject | None:
    """Return an object as a header that says so; None where it cannot be read."""
    if received.file is None:
        return None
    sieve = BulkSieve(transfer_syntax_uid, lambda _begin: True)
    received.file.seek(0)
    while not sieve.useless and (data := received.file.read(_READ_BYTES)):
        sieve.add(data)
    # Some send pixels all the same.
    came = Origin(Way.LEFT_OUT, sieve.absent, transfer_syntax_uid, received.size_bytes)
    origin = came if sieve.absent else Origin(Way.WITHOUT_BULK_DATA, [PIXEL_DATA])
    try:
        data_set = sieve.data_set(origin)
    except MalformedDataSetError:
        return None
    return fetched_header(data_set)


def fetched_header(data_set: bytes) -> FetchedObject:
    """Return a header as an object that can be handed on."""
    header = FetchedObject(BytesIO, lambda _size_bytes: None, len(data_set))
    header.add(data_set)
    return header


def open_get_association(
    peer: Peer,
    storage_classes: Sequence[str],
    timeouts: Timeouts,
    *,
    kind: type[GetAssociation] = GetAssociation,
    cancellation: Cancellation | None = None,
) -> GetAssociation:
    """Open an association of a kind for C-GET of objects of these classes.

    Raises:
        PeerError: it does not stand, with the outcome, or objects could not come over it.
        InterruptedWorkError: the work was stopped.
    """
    offered = kind.offered(storage_classes)
    proposals: list[Proposal] = [(kind.service, TRANSFER_SYNTAXES), *offered]
    taken = list(dict.fromkeys(sop_class_uid for sop_class_uid, _ in offered))
    association = open_with_proposals(kind, peer, proposals, timeouts, taken=taken, cancellation=cancellation)
    problem = _problem(association)
    if problem is None:
        return association
    association.release()
    raise PeerError(Outcome.NOT_SUPPORTED, f"{peer.ae_title} {problem}", permanent=True, associating=True)


def _problem(association: GetAssociation) -> str | None:
    """Return why nothing could be fetched over an association."""
    if not association.offers_c_get:
        return f"does not offer C-GET; choose C-MOVE for this node (not accepted: {association.service})"
    if not association.offers_objects:
        return "offers C-GET, and would send no class of the objects wanted (PS3.7 D.3.3.4)"
    return None
