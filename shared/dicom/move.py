"""C-MOVE (PS3.4 C.4.2): one request, its live counters, and the final status, never taken for granted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from shared.dicom.association import StackLink, guarded, stacked
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.identifiers import Uid
from shared.dicom.link import Link
from shared.dicom.sop_classes import STUDY_ROOT_MOVE
from shared.dicom.status import status_error
from shared.errors import InvalidInputError

SUCCESS = 0x0000
PENDING = frozenset({0xFF00, 0xFF01})

#: A peer whose counters say for so long that nothing happens is not waited for, however often it says so.
STALLED_S = 600.0

MoveLevel = Literal["SERIES", "IMAGE"]

#: What pydicom raises when it turns the bytes of an element into a value.
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, NotImplementedError, OverflowError)


@dataclass(frozen=True, slots=True)
class SubOperations:
    """The counters of a C-MOVE response (PS3.7 9.1.4.1); None where the peer leaves one out."""

    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None


@dataclass(slots=True)
class MoveResult:
    """What came of one C-MOVE, as far as the peer says; what arrived is another question."""

    #: Final status; None if no final answer came.
    status_code: int | None = None
    #: Counters of the final answer.
    sub_operations: SubOperations = field(default_factory=SubOperations)
    #: Failed SOP Instance UID List (0008,0058) of the final answer, as far as it can be read.
    failed_sop_instance_uids: tuple[str, ...] = ()
    #: None for success (0x0000) and for warnings (0xBxxx).
    error: PeerError | InterruptedWorkError | None = None
    duration_ms: int = 0


def move_identifier(
    level: MoveLevel,
    study_instance_uids: Sequence[str],
    series_instance_uids: Sequence[str],
    sop_instance_uids: Sequence[str] = (),
) -> Dataset:
    """Return the identifier of a C-MOVE: unique keys only (PS3.4 C.4.2.1.4)."""
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    ds.StudyInstanceUID = list(study_instance_uids)
    ds.SeriesInstanceUID = list(series_instance_uids)
    if level == "IMAGE":
        ds.SOPInstanceUID = list(sop_instance_uids)
    return ds


def move(
    link: Link,
    identifier: Dataset,
    move_destination: str,
    on_progress: Callable[[SubOperations], None] | None = None,
    cancellation: Cancellation | None = None,
) -> MoveResult:
    """Send one C-MOVE and wait for its end; what went wrong stands in the result.

    `on_progress` is called with the counters of each pending answer. The association is aborted if no final
    answer came, so that no late answer meets the next request.
    """

    def send(stack: StackLink, message_id: int) -> Answers:
        return stack.assoc.send_c_move(identifier, move_destination, STUDY_ROOT_MOVE, msg_id=message_id)

    return followed(link, STUDY_ROOT_MOVE, send, on_progress, cancellation)


#: Status and data set of each answer.
Answers = Iterator[tuple[Dataset, Dataset | None]]


def followed(
    link: Link,
    query_model: str,
    send: Callable[[StackLink, int], Answers],
    on_progress: Callable[[SubOperations], None] | None,
    cancellation: Cancellation | None,
) -> MoveResult:
    """Send a request with sub-operations and take its answers to the end."""
    result = MoveResult()
    began = time.monotonic()
    message_id = link.next_message_id()
    stack = stacked(link)
    guarded(stack, message_id, query_model, cancellation)
    try:
        _follow(stack, send(stack, message_id), on_progress, result)
    except (ValueError, RuntimeError) as failure:
        # pynetdicom: the context was not accepted (ValueError), or the association is gone (RuntimeError).
        result.error = _unsendable(stack, failure)
    result.duration_ms = round((time.monotonic() - began) * 1000)
    if result.status_code is None:
        link.abort()
    return result


def _follow(
    link: StackLink,
    answers: Answers,
    on_progress: Callable[[SubOperations], None] | None,
    result: MoveResult,
) -> None:
    pace = _Pace()
    for status, data_set in answers:
        code = status.get("Status")
        if code in PENDING:
            counters = _counters(status)
            if on_progress is not None:
                on_progress(counters)
            if pace.has_stalled(counters):
                link.answers.expire()
            continue
        result.status_code = code
        result.sub_operations = _counters(status)
        result.failed_sop_instance_uids = _failed_uids(data_set)
    result.error = _error_of(link, result.status_code)
    if pace.stalled and isinstance(result.error, PeerError):
        result.error = PeerError(Outcome.TIMED_OUT, f"nothing was sent for {STALLED_S:g} s")


class _Pace:
    """Whether the counters of pending answers move."""

    def __init__(self) -> None:
        self.stalled = False
        self._last = SubOperations()
        self._since = time.monotonic()

    def has_stalled(self, counters: SubOperations) -> bool:
        """Tell whether they have stood still for too long; what leaves them out tells nothing."""
        now = time.monotonic()
        if counters != self._last or counters == SubOperations():
            self._last, self._since = counters, now
        self.stalled = now - self._since > STALLED_S
        return self.stalled


def _error_of(link: StackLink, status_code: int | None) -> PeerError | InterruptedWorkError | None:
    if status_code is None:
        return link.failure()
    if status_code == SUCCESS or is_warning(status_code):
        return None
    cancellation = link.answers.cancellation
    if cancellation is not None and cancellation.requested:
        return InterruptedWorkError(cancellation.reason)
    return status_error(status_code)


def is_warning(status_code: int) -> bool:
    """Tell whether a status says: done, with failures or warnings among the sub-operations (PS3.7 C.3)."""
    return 0xB000 <= status_code <= 0xBFFF or status_code in (0x0001, 0x0107, 0x0116)  # noqa: PLR2004


def _counters(status: Dataset) -> SubOperations:
    return SubOperations(
        remaining=status.get("NumberOfRemainingSuboperations"),
        completed=status.get("NumberOfCompletedSuboperations"),
        failed=status.get("NumberOfFailedSuboperations"),
        warning=status.get("NumberOfWarningSuboperations"),
    )


def _failed_uids(data_set: Dataset | None) -> tuple[str, ...]:
    if data_set is None:
        return ()
    try:
        value = data_set.get("FailedSOPInstanceUIDList")
        texts = [str(one) for one in value] if isinstance(value, (MultiValue, list)) else [str(value or "")]
    except _UNREADABLE:
        return ()
    uids: dict[str, None] = {}
    for text in texts:
        try:
            uids[str(Uid.parse("FailedSOPInstanceUIDList", text))] = None
        except InvalidInputError:
            continue
    return tuple(uids)


def _unsendable(link: StackLink, failure: Exception) -> PeerError:
    if link.assoc.is_established:
        return PeerError(Outcome.NOT_SUPPORTED, str(failure), permanent=True)
    return PeerError(Outcome.ABORTED, "the association ended before the request was sent")
