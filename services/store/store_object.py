"""A C-STORE request: identify the object, write it, record it, and return the response."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass, replace

import structlog

from services.store.index.group_commit import GroupCommit, IndexAwayError
from services.store.index.known_objects import Receipt
from services.store.index.reconcile import read_receipt, reconcile
from services.store.metrics.counters import StoreCounters
from services.store.objects.durable_folder import ObjectFolder
from services.store.objects.errors import ObjectWriteError, OutOfSpaceError, TooManyConflictsError
from services.store.objects.identity import is_deflated, read_identity
from services.store.objects.incoming_data_set import TooLargeError
from services.store.objects.kept import Conflict, Duplicate, ReceivedObject, Replaced, Stored
from services.store.objects.temp_file import TempFile
from shared.database.models.store import HEADERS, WHOLE
from shared.dicom.data_set_end import CutOffError, check_end
from shared.dicom.upper_layer.data_elements import Buffer
from shared.errors import InvalidInputError
from shared.identifiers import parse_ae_title, parse_uid

log = structlog.get_logger(__name__)

#: Held while an object is inflated, so that many senders together cost no more memory than one.
_inflating = threading.Lock()

#: C-STORE statuses (PS3.4 table B.2-1): A7xx is "refused: out of resources", Cxxx "cannot understand"; the
#: last two digits are ours.
SUCCESS = 0x0000
OUT_OF_SPACE = 0xA700
CANNOT_WRITE = 0xA701
INDEX_AWAY = 0xA702
TOO_MANY_CONFLICTS = 0xA703
CANNOT_UNDERSTAND = 0xC000
NOT_AS_ANNOUNCED = 0xC001
TOO_LARGE = 0xC002
CUT_OFF = 0xC003
DEFECT = 0xC0FF


@dataclass(frozen=True, slots=True)
class CStoreCommand:
    """What a C-STORE request states of its object before the object comes: nothing of it is validated."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str


@dataclass(frozen=True, slots=True)
class CStoreRequest(CStoreCommand):
    """A C-STORE request as it came: nothing of it is validated."""

    data_set: Buffer
    #: The file that holds the data set already, if it is large.
    temp_file: TempFile | None = None
    #: Why the data set could not be taken.
    problem: ObjectWriteError | InvalidInputError | None = None


@dataclass(frozen=True, slots=True)
class StoreResponse:
    """The status for the sender, and why if it is no success (safe to show)."""

    status_code: int
    comment: str = ""


class _NotAsAnnouncedError(InvalidInputError):
    """The command speaks of another object than the data set."""


#: Reason and status of each kind of error; the first that fits counts.
_REFUSALS: tuple[tuple[type[Exception], tuple[str, int]], ...] = (
    (_NotAsAnnouncedError, ("not_as_announced", NOT_AS_ANNOUNCED)),
    (TooLargeError, ("too_large", TOO_LARGE)),
    (CutOffError, ("cut_off", CUT_OFF)),
    (InvalidInputError, ("not_understood", CANNOT_UNDERSTAND)),
    (OutOfSpaceError, ("out_of_space", OUT_OF_SPACE)),
    (TooManyConflictsError, ("too_many_conflicts", TOO_MANY_CONFLICTS)),
    (ObjectWriteError, ("cannot_write", CANNOT_WRITE)),
    (IndexAwayError, ("index_away", INDEX_AWAY)),
)


class CStoreHandler:
    """Takes one object at a time; safe for many threads."""

    def __init__(self, folder: ObjectFolder, committer: GroupCommit, counters: StoreCounters) -> None:
        self._folder = folder
        self._committer = committer
        self._counters = counters

    def open_temp_file(self, announced: CStoreCommand) -> TempFile:
        """Make the file for an object that is about to come.

        Raises:
            InvalidInputError: a UID is missing or none.
            ObjectWriteError: the file cannot be made.
        """
        transfer_syntax_uid = parse_uid("transfer_syntax_uid", announced.transfer_syntax_uid)
        return self._folder.open_temp_file(
            sop_class_uid=parse_uid("affected_sop_class_uid", announced.sop_class_uid),
            sop_instance_uid=parse_uid("affected_sop_instance_uid", announced.sop_instance_uid),
            transfer_syntax_uid=transfer_syntax_uid,
            source_ae_title=shown_ae_title(announced.calling_ae_title),
        )

    def handle(self, request: CStoreRequest) -> StoreResponse:
        """Keep an object and make it known; success means that it is on disk and known."""
        try:
            if request.problem is not None:
                raise request.problem
            received = identify(request)
            kept = self._folder.store(received)
            settled = self._make_known(received, kept)
        except (InvalidInputError, ObjectWriteError, IndexAwayError) as error:
            return self._refuse(request, error)
        self._count(received, settled)
        return StoreResponse(SUCCESS)

    def _make_known(
        self, received: ReceivedObject, kept: Stored | Replaced | Duplicate | Conflict
    ) -> Stored | Replaced | Duplicate | Conflict:
        receipt = self._receipt_of_first(received, kept) or Receipt(
            identity=received.identity,
            transfer_syntax_uid=received.transfer_syntax_uid,
            calling_ae_title=received.calling_ae_title,
            path=kept.path,
            sha256=kept.sha256,
            size_bytes=kept.size_bytes,
            conflict=isinstance(kept, Conflict),
            fresh=isinstance(kept, Stored),
            content=HEADERS if received.identity.is_header else WHOLE,
        )
        aside = reconcile(self._folder, self._committer, receipt)
        return Conflict(kept.path, kept.sha256, kept.size_bytes, aside) if aside else kept

    def _receipt_of_first(
        self, received: ReceivedObject, kept: Stored | Replaced | Duplicate | Conflict
    ) -> Receipt | None:
        """Return the receipt of what stays in place of a header that came; None if it is what came."""
        if not isinstance(kept, Duplicate) or not kept.first:
            return None
        first = read_receipt(self._folder, kept.path)
        if first is None:
            raise ObjectWriteError("the place of the object is taken by a file that is no such object")
        return replace(first, calling_ae_title=received.calling_ae_title, found=False)

    def _count(self, received: ReceivedObject, kept: Stored | Replaced | Duplicate | Conflict) -> None:
        self._counters.add("received")
        self._counters.add("received_bytes", kept.size_bytes)
        if received.identity.is_header:
            self._counters.add("headers")
        if isinstance(kept, Duplicate):
            self._counters.add("duplicates")
        if isinstance(kept, Conflict):
            self._counters.add("conflicts")
            log.warning(
                "conflict",
                sop_instance_uid=received.identity.sop_instance_uid,
                kept_aside=kept.aside,
                calling_ae_title=received.calling_ae_title,
            )

    def _refuse(
        self, request: CStoreRequest, error: InvalidInputError | ObjectWriteError | IndexAwayError
    ) -> StoreResponse:
        reason, status_code = next(refusal for kind, refusal in _REFUSALS if isinstance(error, kind))
        self._counters.add(f"refused_{reason}")
        log.warning(
            "refused",
            reason=reason,
            status_code=f"0x{status_code:04X}",
            problem=str(error),
            sop_instance_uid=_shown(request.sop_instance_uid),
            size_bytes=len(request.data_set),
            calling_ae_title=shown_ae_title(request.calling_ae_title),
        )
        return StoreResponse(status_code, str(error))


def identify(request: CStoreRequest) -> ReceivedObject:
    """Validate a request and read who its object is.

    Raises:
        InvalidInputError: a UID is missing or none, the data set cannot be read to its end, or it is another
            object than the command says.
    """
    transfer_syntax_uid = parse_uid("transfer_syntax_uid", request.transfer_syntax_uid)
    announced_instance = parse_uid("affected_sop_instance_uid", request.sop_instance_uid)
    announced_class = parse_uid("affected_sop_class_uid", request.sop_class_uid)
    with _inflating if is_deflated(transfer_syntax_uid) else nullcontext():
        identity = read_identity(request.data_set, transfer_syntax_uid)
    if identity.sop_instance_uid != announced_instance:
        raise _NotAsAnnouncedError("sop_instance_uid", "is not the Affected SOP Instance UID")
    if identity.sop_class_uid != announced_class:
        raise _NotAsAnnouncedError("sop_class_uid", "is not the Affected SOP Class UID")
    with _inflating if is_deflated(transfer_syntax_uid) else nullcontext():
        check_end(request.data_set, transfer_syntax_uid)
    return ReceivedObject(
        identity,
        transfer_syntax_uid,
        shown_ae_title(request.calling_ae_title),
        request.data_set,
        request.temp_file,
    )


def shown_ae_title(text: str) -> str:
    """Return an AE title if it is one, for logs and rows; else nothing."""
    try:
        return str(parse_ae_title("calling_ae_title", text))
    except InvalidInputError:
        return ""


def _shown(uid: str) -> str:
    try:
        return str(parse_uid("sop_instance_uid", uid))
    except InvalidInputError:
        return "invalid"
