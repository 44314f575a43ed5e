"""C-GET (PS3.4 C.4.3): objects come over our own association, and each goes on to a store by C-STORE."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pynetdicom import evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import PresentationContext, build_context

from shared.dicom.association.dimse_operation import PENDING
from shared.dicom.association.pynetdicom_association import (
    PynetdicomAssociation,
    guarded,
    open_contexts,
)
from shared.dicom.association.sub_operations import (
    MoveResponse,
    MoveResult,
    ProgressWatch,
    SubOperations,
    error_of,
    uids_of,
)
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import Outcome, PeerError, StoreError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.sop_classes import STUDY_ROOT_GET, offers
from shared.dicom.upper_layer.data_elements import ElementWalker
from shared.dicom.upper_layer.errors import MalformedDataSetError
from shared.identifiers import UID_MAX_LENGTH

#: What pydicom raises when it turns the bytes of an element into a value.
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, NotImplementedError, OverflowError)

#: Statuses for the peer whose object could not be handed on (PS3.4 B.2.3, PS3.7 9.1.1.1.9).
REFUSED, NOT_SUPPORTED, NOT_AUTHORIZED = 0xA700, 0x0122, 0x0124

#: Bytes of one object that a peer sends: it is held in memory while it is handed on.
MAX_OBJECT_BYTES = 1 << 30
#: Objects that were not requested and are refused, before the C-GET is ended.
MAX_UNREQUESTED = 100
#: Bytes of an object that are searched for its Study and Series Instance UID.
_BEGIN_BYTES = 1 << 20
_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E

#: The object is stored: success, and the warnings of PS3.4 B.2.3.
_STORED = frozenset({0x0000, 0xB000, 0xB006, 0xB007})


@dataclass(slots=True)
class Fetched:
    """The result of one C-GET."""

    result: MoveResult
    #: SOP Instance UIDs of the objects that the store has stored.
    stored: set[str] = field(default_factory=set)


class _Requested:
    """The objects that a C-GET requests: those of its identifier, and no others are accepted."""

    def __init__(self, identifier: Dataset) -> None:
        self._sop_instance_uids = _uids(identifier, "SOPInstanceUID")
        self._series_instance_uids = _uids(identifier, "SeriesInstanceUID")
        self._study_instance_uids = _uids(identifier, "StudyInstanceUID")

    def includes(self, sop_instance_uid: str, data_set: memoryview) -> bool:
        """Return whether an object is among them, by its own UIDs; an archive may change one of them."""
        if self._sop_instance_uids:
            return sop_instance_uid in self._sop_instance_uids
        found = _begin_of(data_set)
        return (
            found.get(_SERIES_INSTANCE_UID, "") in self._series_instance_uids
            or found.get(_STUDY_INSTANCE_UID, "") in self._study_instance_uids
        )


def _uids(identifier: Dataset, keyword: str) -> frozenset[str]:
    value = identifier.get(keyword) or ()
    return frozenset([str(value)] if isinstance(value, str) else map(str, value))


def _begin_of(data_set: memoryview) -> dict[int, str]:
    """Return Study and Series Instance UID of an object, as far as they can be read."""
    found: dict[int, str] = {}
    try:
        for tag, _, start, stop in ElementWalker(data_set[:_BEGIN_BYTES], max_depth=None).walk():
            if tag > _SERIES_INSTANCE_UID:
                break
            if tag in (_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID):
                found[tag] = (
                    bytes(data_set[start : min(stop, start + UID_MAX_LENGTH + 1)])
                    .decode("latin-1")
                    .strip("\0 ")
                )
    except MalformedDataSetError:
        pass
    return found


class _Store:
    """A store that objects are handed on to, as they come, over one association."""

    def __init__(self, association: PynetdicomAssociation, identifier: Dataset, watch: ProgressWatch) -> None:
        self._association = association
        self._watch = watch
        self._requested = _Requested(identifier)
        self._refused = 0
        self.stored: set[str] = set()
        self.error: PeerError | None = None

    def take(self, event: evt.Event) -> int:
        """Hand one object on; return the store's status."""
        request: Any = event.request
        if not self._requested.includes(str(request.AffectedSOPInstanceUID), request.DataSet.getbuffer()):
            return self._refuse_unrequested()
        self._watch.deadline.progressed()
        try:
            context_id = self._context_id(request.AffectedSOPClassUID, event.context.transfer_syntax)
            if context_id is None:
                return NOT_SUPPORTED
            status = self._send(request, context_id)
        except (ValueError, RuntimeError):
            # pynetdicom: the association is gone.
            status = None
        if status is None:
            self.error = PeerError(Outcome.ABORTED, "the store node ended the association", associating=True)
            return REFUSED
        if status in _STORED:
            self.stored.add(str(request.AffectedSOPInstanceUID))
        return status

    @property
    def is_over(self) -> bool:
        """Whether so much came that was not requested that the C-GET was ended."""
        return self._refused >= MAX_UNREQUESTED

    def _refuse_unrequested(self) -> int:
        self._refused += 1
        self.error = PeerError(
            Outcome.BAD_RESPONSE,
            f"{self._refused} objects were sent that were not requested; they were refused",
        )
        if self.is_over:
            self._watch.deadline.end()
        return NOT_AUTHORIZED

    def _context_id(self, sop_class_uid: str, transfer_syntax_uid: str) -> int | None:
        for context in self._association.assoc.accepted_contexts:
            if (context.abstract_syntax, context.transfer_syntax[0]) == (sop_class_uid, transfer_syntax_uid):
                return context.context_id
        return None

    def _send(self, request: Any, context_id: int) -> int | None:
        if not self._association.alive:
            return None
        primitive = C_STORE()
        primitive.MessageID = self._association.next_message_id()
        primitive.AffectedSOPClassUID = request.AffectedSOPClassUID
        primitive.AffectedSOPInstanceUID = request.AffectedSOPInstanceUID
        primitive.Priority = request.Priority
        primitive.DataSet = BytesIO(request.DataSet.getvalue())
        self._association.responses.begin(None, None)
        self._association.assoc.dimse.send_msg(primitive, context_id)
        _, response = self._association.assoc.dimse.get_msg(block=True)
        return response.Status if isinstance(response, C_STORE) else None


class GetAssociation(PynetdicomAssociation):
    """An association for C-GET, over which the peer sends its objects."""

    def c_get(
        self,
        identifier: Dataset,
        store: Peer,
        timeouts: Timeouts,
        on_progress: Callable[[SubOperations], None] | None = None,
        cancellation: Cancellation | None = None,
    ) -> Fetched:
        """Send one C-GET and hand every object on to `store`; the result holds what went wrong.

        One object is in memory at a time.

        Raises:
            StoreError: the store accepts no association; no request was sent.
            InterruptedWorkError: the work was stopped.
        """
        try:
            out = open_contexts(
                PynetdicomAssociation,
                store,
                contexts_to_send_on(self),
                timeouts,
                cancellation=cancellation,
            )
        except PeerError as error:
            raise StoreError(error) from error
        try:
            self.bound.max_bytes = MAX_OBJECT_BYTES
            watch = ProgressWatch(timeouts.response_s)
            handed = _Store(out, identifier, watch)
            self.assoc.bind(evt.EVT_C_STORE, handed.take)
            result = _followed(self, identifier, on_progress, cancellation, watch)
        finally:
            out.release()
        if handed.is_over:
            result.error = handed.error
        elif handed.error is not None and not handed.stored:
            result.error = result.error or handed.error
        return Fetched(result, handed.stored)


def open_get_association(
    peer: Peer,
    storage_classes: Sequence[str],
    timeouts: Timeouts,
    *,
    cancellation: Cancellation | None = None,
) -> GetAssociation:
    """Open an association for C-GET of objects of these classes.

    Raises:
        PeerError: it does not stand, with the outcome, or objects could not come over it.
        InterruptedWorkError: the work was stopped.
    """
    offered = offers(storage_classes)
    contexts = [build_context(STUDY_ROOT_GET)]
    contexts += [
        build_context(sop_class_uid, list(transfer_syntaxes)) for sop_class_uid, transfer_syntaxes in offered
    ]
    taken = list(dict.fromkeys(sop_class_uid for sop_class_uid, _ in offered))
    association = open_contexts(
        GetAssociation, peer, contexts, timeouts, taken_abstract_syntaxes=taken, cancellation=cancellation
    )
    problem = _problem(association)
    if problem is None:
        return association
    association.release()
    raise PeerError(Outcome.NOT_SUPPORTED, f"{peer.ae_title} {problem}", permanent=True, associating=True)


def _problem(association: PynetdicomAssociation) -> str | None:
    """Return why nothing could be fetched over an association."""
    accepted = association.assoc.accepted_contexts
    if not any(context.abstract_syntax == STUDY_ROOT_GET for context in accepted):
        return f"does not offer C-GET; choose C-MOVE for this node (not accepted: {STUDY_ROOT_GET})"
    if not contexts_to_send_on(association):
        return "offers C-GET, and would send no class of the objects wanted (PS3.7 D.3.3.4)"
    return None


def contexts_to_send_on(association: PynetdicomAssociation) -> list[PresentationContext]:
    """Return contexts in which everything can be sent on that may come over this association."""
    kinds = {
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in association.assoc.accepted_contexts
        if context.as_scp
    }
    return [build_context(abstract, transfer) for abstract, transfer in sorted(kinds)]


def _followed(
    association: PynetdicomAssociation,
    identifier: Dataset,
    on_progress: Callable[[SubOperations], None] | None,
    cancellation: Cancellation | None,
    watch: ProgressWatch,
) -> MoveResult:
    """Send the request and take its responses to the end."""
    result = MoveResult()
    message_id = association.next_message_id()
    guarded(association, message_id, STUDY_ROOT_GET, cancellation, watch.deadline)
    began = time.monotonic()
    try:
        for response in _get_responses(association, identifier, message_id):
            if response.status_code not in PENDING:
                result.status_code = response.status_code
                result.sub_operations = response.sub_operations
                result.failed_sop_instance_uids = response.failed_sop_instance_uids
                result.error = error_of(response.status_code, cancellation)
                continue
            if on_progress is not None:
                on_progress(response.sub_operations)
            watch.note(response.sub_operations)
        if result.status_code is None:
            result.error = association.failure()
    except PeerError as error:
        result.error = error
    except (ValueError, RuntimeError) as failure:
        # pynetdicom: the context was not accepted (ValueError), or the association is gone (RuntimeError).
        result.error = _unsendable(association, failure)
    result.duration_ms = round((time.monotonic() - began) * 1000)
    if result.status_code is None:
        association.abort()
    return result


def _get_responses(
    association: PynetdicomAssociation, identifier: Dataset, message_id: int
) -> Iterator[MoveResponse]:
    for status, data_set in association.assoc.send_c_get(identifier, STUDY_ROOT_GET, msg_id=message_id):
        if "Status" in status:
            counters = SubOperations(
                remaining=status.get("NumberOfRemainingSuboperations"),
                completed=status.get("NumberOfCompletedSuboperations"),
                failed=status.get("NumberOfFailedSuboperations"),
                warning=status.get("NumberOfWarningSuboperations"),
            )
            yield MoveResponse(status.Status, counters, _failed_uids(data_set))


def _failed_uids(data_set: Dataset | None) -> tuple[str, ...]:
    """Return the Failed SOP Instance UID List as far as it can be read."""
    if data_set is None:
        return ()
    try:
        value = data_set.get("FailedSOPInstanceUIDList")
        texts = [str(uid) for uid in value] if isinstance(value, (MultiValue, list)) else [str(value or "")]
    except _UNREADABLE:
        return ()
    return uids_of(texts)


def _unsendable(association: PynetdicomAssociation, failure: Exception) -> PeerError:
    if association.assoc.is_established:
        return PeerError(Outcome.NOT_SUPPORTED, str(failure), permanent=True)
    return PeerError(Outcome.ABORTED, "the association ended before the request was sent")
