"""Counters and results of requests with sub-operations (C-MOVE, C-GET)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.dicom.association.dimse_operation import PENDING
from shared.dicom.association.operation_deadline import (
    IDLE_TIMEOUTS,
    MOVE_LONGEST_TIMEOUTS,
    UNCOUNTED_TIMEOUTS,
    OperationDeadline,
)
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.status import status_error
from shared.errors import InvalidInputError
from shared.identifiers import Uid

SUCCESS = 0x0000


@dataclass(frozen=True, slots=True)
class SubOperations:
    """The counters of a C-MOVE response (PS3.7 9.1.4.1); None where the peer leaves one out."""

    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None


#: Seconds after which a peer whose counters stand still is given up, however often it sends them; less where
#: the DIMSE time-out is short.
STALLED_S = 600.0
#: Pending responses to one request: one for each of the most sub-operations there can be (PS3.7 9.3.4, US).
MAX_PENDING_RESPONSES = 1 << 16


class ProgressWatch:
    """Watches the counters of the pending responses to one request."""

    def __init__(self, response_s: float) -> None:
        """`response_s` is the DIMSE time-out."""
        self.deadline = OperationDeadline(UNCOUNTED_TIMEOUTS * response_s, MOVE_LONGEST_TIMEOUTS * response_s)
        self._stalled_s = min(STALLED_S, IDLE_TIMEOUTS * response_s)
        self._since = time.monotonic()
        self._most_done = -1
        self._least_remaining = MAX_PENDING_RESPONSES
        self._pending = 0

    def note(self, counters: SubOperations) -> None:
        """Take the counters of a pending response; that more is done, or less remains, is progress.

        Raises:
            PeerError: they have stood still for too long, or there are more responses than are read.
        """
        self._pending += 1
        if self._pending > MAX_PENDING_RESPONSES:
            raise PeerError(
                Outcome.BAD_RESPONSE, f"more than {MAX_PENDING_RESPONSES} pending responses to one request"
            )
        if counters == SubOperations():
            return
        done = (counters.completed or 0) + (counters.failed or 0) + (counters.warning or 0)
        remaining = counters.remaining if counters.remaining is not None else self._least_remaining
        if done > self._most_done or remaining < self._least_remaining:
            self._most_done = max(done, self._most_done)
            self._least_remaining = min(remaining, self._least_remaining)
            self._since = time.monotonic()
            self.deadline.progressed()
        elif time.monotonic() - self._since > self._stalled_s:
            raise PeerError(Outcome.TIMED_OUT, f"nothing was sent for {self._stalled_s:g} s")


class MoveResponse(NamedTuple):
    """One response to a request with sub-operations."""

    status_code: int
    sub_operations: SubOperations
    failed_sop_instance_uids: tuple[str, ...] = ()


@dataclass(slots=True)
class MoveResult:
    """The result of one request, as the peer reports it; what arrived is verified elsewhere."""

    #: Final status; None if no final response came.
    status_code: int | None = None
    #: Counters of the final response.
    sub_operations: SubOperations = field(default_factory=SubOperations)
    #: Failed SOP Instance UID List (0008,0058) of the final response, as far as it can be read.
    failed_sop_instance_uids: tuple[str, ...] = ()
    #: None for success (0x0000) and for warnings (0xBxxx).
    error: PeerError | InterruptedWorkError | None = None
    duration_ms: int = 0

    def end(self, response: MoveResponse, error: PeerError | InterruptedWorkError | None) -> None:
        """Take the final response, and what it means."""
        self.status_code = response.status_code
        self.sub_operations = response.sub_operations
        self.failed_sop_instance_uids = response.failed_sop_instance_uids
        self.error = error


def result_of(
    responses: Iterable[MoveResponse],
    watch: ProgressWatch,
    on_progress: Callable[[SubOperations], None] | None,
    cancellation: Cancellation | None,
) -> MoveResult:
    """Take the responses to one request to their end; the result holds what went wrong.

    `on_progress` is called with the counters of each pending response.
    """
    result, began = MoveResult(), time.monotonic()
    try:
        for response in responses:
            if response.status_code not in PENDING:
                result.end(response, error_of(response.status_code, cancellation))
                continue
            watch.note(response.sub_operations)
            if on_progress is not None:
                on_progress(response.sub_operations)
    except (PeerError, InterruptedWorkError) as error:
        result.error = error
    result.duration_ms = round((time.monotonic() - began) * 1000)
    return result


def uids_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Return those texts that are UIDs, each once."""
    uids: dict[str, None] = {}
    for text in texts:
        try:
            uids[str(Uid.parse("FailedSOPInstanceUIDList", text))] = None
        except InvalidInputError:
            continue
    return tuple(uids)


def error_of(status_code: int, cancellation: Cancellation | None) -> PeerError | InterruptedWorkError | None:
    """Return what a final status means; None for success, and for a warning unless work was to stop."""
    if status_code == SUCCESS:
        return None
    if cancellation is not None and cancellation.requested:
        return InterruptedWorkError(cancellation.reason)
    return None if is_warning(status_code) else status_error(status_code)


def is_warning(status_code: int) -> bool:
    """Return whether a status means that some sub-operations ended with failures or warnings (PS3.7 C.3)."""
    return 0xB000 <= status_code <= 0xBFFF or status_code in (0x0001, 0x0107, 0x0116)  # noqa: PLR2004
