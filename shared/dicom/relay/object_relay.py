"""Which objects of a C-GET are handed on to the store, and with which status each is responded to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pydicom.dataset import Dataset

from shared.dicom.association.operation_deadline import OperationDeadline
from shared.dicom.association.sub_operations import is_warning
from shared.dicom.errors import NoSpaceError, Outcome, PeerError, StoreError
from shared.dicom.relay.fetched_object import (
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    FetchedObject,
    ObjectFile,
)
from shared.dicom.status import status_text
from shared.dicom.upper_layer.dimse_command import is_uid_text
from shared.dicom.upper_layer.errors import ProtocolError
from shared.errors import InvalidInputError

#: Statuses for the peer whose object is not handed on (PS3.4 B.2.3, PS3.7 9.1.1.1.9).
SUCCESS, REFUSED, CANNOT_UNDERSTAND, NOT_SUPPORTED, NOT_AUTHORIZED = 0x0000, 0xA700, 0xC000, 0x0122, 0x0124
#: As DoseQR's own store responds to an object that is cut off.
CUT_OFF = 0xC003

#: Objects that were not requested, or came again, and are refused, before the C-GET is ended.
MAX_UNREQUESTED = 100
#: Objects of one C-GET: as many as its counters can count (PS3.7 9.3.3.2, US).
MAX_OBJECTS = 1 << 16

#: Failures of a C-STORE in words (PS3.4 table B.2-1), by the first digits of the status.
_REFUSALS = {0xA7: "out of resources", 0xA9: "data set does not match SOP class"}


class RelayStore(Protocol):
    """What is needed of an association with the store (`StorageAssociation`)."""

    @property
    def alive(self) -> bool:
        """Whether objects can be sent."""
        ...

    def context_id(self, sop_class_uid: str, transfer_syntax_uid: str) -> int | None:
        """Return the context for objects of this class in this transfer syntax, None if there is none."""
        ...

    def c_store(
        self,
        context_id: int,
        sop_class_uid: str,
        sop_instance_uid: str,
        data_set: ObjectFile,
        check: Callable[[], float],
    ) -> int:
        """Send an object from the begin of its file; return the status of the response.

        Raises:
            TimeoutError: there is no response in time.
            ProtocolError: the peer has ended the association.
        """
        ...


class _Requested:
    """The objects that a C-GET requests: those of its identifier, and no others are accepted."""

    def __init__(self, identifier: Dataset) -> None:
        self._sop_instance_uids = _uids(identifier, "SOPInstanceUID")
        self._series_instance_uids = _uids(identifier, "SeriesInstanceUID")
        self._study_instance_uids = _uids(identifier, "StudyInstanceUID")

    def may_include(self, sop_instance_uid: str) -> bool:
        """Return whether an object can be among them, as far as its own UID shows."""
        return not self._sop_instance_uids or sop_instance_uid in self._sop_instance_uids

    def includes(self, uids: dict[int, str]) -> bool:
        """Return whether an object is among them, by its own UIDs; an archive may change one of them."""
        if self._sop_instance_uids:
            return uids.get(SOP_INSTANCE_UID, "") in self._sop_instance_uids
        return (
            uids.get(SERIES_INSTANCE_UID, "") in self._series_instance_uids
            or uids.get(STUDY_INSTANCE_UID, "") in self._study_instance_uids
        )


def _uids(identifier: Dataset, keyword: str) -> frozenset[str]:
    value = identifier.get(keyword) or ()
    return frozenset([str(value)] if isinstance(value, str) else map(str, value))


class ObjectRelay:
    """Hands objects on, as they come, over one association with the store."""

    def __init__(
        self,
        association: RelayStore,
        identifier: Dataset,
        deadline: OperationDeadline,
        check: Callable[[], float],
    ) -> None:
        """`check` returns until when the C-GET may take, and raises TimeoutError when that is over."""
        self._association = association
        self._requested = _Requested(identifier)
        self._deadline = deadline
        self._check = check
        #: Objects that came, whatever became of them.
        self.objects = 0
        self._useless = 0
        self.stored: set[str] = set()
        #: What the store node refused last, or was not handed on, in words; empty if nothing.
        self.refusal = ""
        #: Why objects could not be handed on.
        self.error: PeerError | None = None

    def may_want(self, sop_instance_uid: str) -> bool:
        """Return whether an object is worth to be kept as it comes."""
        return self._association.alive and self._requested.may_include(sop_instance_uid)

    def take(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        received: FetchedObject | None,
    ) -> int:
        """Hand one object on; return the status for the peer.

        Raises:
            PeerError: too much came that was not requested.
            TimeoutError: the C-GET has taken too long.
        """
        self._count()
        if not self._requested.may_include(sop_instance_uid):
            return self._refuse_unrequested()
        if received is not None and received.error is not None:
            self.error = NoSpaceError(f"DoseQR cannot keep an object on its way: {_text_of(received.error)}")
            return REFUSED
        if not self._association.alive:
            return self._store_is_gone()
        uids = {} if received is None else received.uids()
        if received is None or not _is_as_announced(uids, sop_class_uid, sop_instance_uid):
            detail = "an object was sent that cannot be read, or that is another than announced"
            self.error = PeerError(Outcome.BAD_RESPONSE, f"{detail}; it was refused")
            return CANNOT_UNDERSTAND
        if not self._requested.includes(uids):
            return self._refuse_unrequested()
        if sop_instance_uid in self.stored:
            self._note_useless("that were sent already")
        return self._send(sop_class_uid, sop_instance_uid, transfer_syntax_uid, received)

    def _count(self) -> None:
        self.objects += 1
        if self.objects > MAX_OBJECTS:
            raise PeerError(Outcome.BAD_RESPONSE, f"more than {MAX_OBJECTS} objects were sent")

    def _refuse_unrequested(self) -> int:
        self._note_useless("that were not requested; they were refused")
        return NOT_AUTHORIZED

    def _note_useless(self, which: str) -> None:
        self._useless += 1
        self.error = PeerError(Outcome.BAD_RESPONSE, f"{self._useless} objects were sent {which}")
        if self._useless >= MAX_UNREQUESTED:
            raise self.error

    def _send(
        self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, received: FetchedObject
    ) -> int:
        assert received.file is not None
        try:
            received.check_end(transfer_syntax_uid)
        except InvalidInputError as error:
            self.refusal = f"the object {sop_instance_uid} was not handed on: {error}"
            self.error = PeerError(Outcome.BAD_RESPONSE, self.refusal)
            return CUT_OFF
        context_id = self._association.context_id(sop_class_uid, transfer_syntax_uid)
        if context_id is None:
            self.refusal = f"the store node does not accept {sop_class_uid} in {transfer_syntax_uid}"
            return NOT_SUPPORTED
        if sop_instance_uid not in self.stored:
            self._deadline.progressed()
        try:
            status_code = self._association.c_store(
                context_id, sop_class_uid, sop_instance_uid, received.file, self._check
            )
        except TimeoutError:
            # Of the C-GET as a whole, or else of the store.
            self._check()
            return self._store_is_gone("gives no response in time")
        except ProtocolError as error:
            return self._store_is_gone(str(error))
        if status_code == SUCCESS or is_warning(status_code):
            self.stored.add(sop_instance_uid)
        else:
            meaning = _REFUSALS.get(status_code >> 8) or _meaning(status_code)
            self.refusal = f"the store node refused an object with status 0x{status_code:04X}: {meaning}"
        return status_code

    def _store_is_gone(self, how: str = "") -> int:
        if self.error is None or how:
            detail = f"it ended the association ({how})" if how else "it ended the association"
            self.error = StoreError(PeerError(Outcome.ABORTED, detail))
        return REFUSED


def _meaning(status_code: int) -> str:
    cannot_understand = status_code >> 12 == CANNOT_UNDERSTAND >> 12
    return "cannot understand" if cannot_understand else status_text(status_code)


def _text_of(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _is_as_announced(uids: dict[int, str], sop_class_uid: str, sop_instance_uid: str) -> bool:
    """Return whether a data set is the object that its command announces, and can be named."""
    return (
        is_uid_text(sop_class_uid)
        and is_uid_text(sop_instance_uid)
        and uids.get(SOP_INSTANCE_UID) == sop_instance_uid
        and uids.get(SOP_CLASS_UID, sop_class_uid) == sop_class_uid
    )
