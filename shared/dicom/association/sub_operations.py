"""What a PACS says of the objects that it sends for one request (C-MOVE, C-GET). Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.status import status_error
from shared.errors import InvalidInputError
from shared.identifiers import Uid

#: A peer whose counters say for so long that nothing happens is not waited for, however often it says so.
STALLED_S = 600.0


class ProgressWatch:
    """Looks at the counters of pending answers."""

    def __init__(self) -> None:
        self._last = SubOperations()
        self._since = time.monotonic()
        #: What came of it, once they have stood still for too long.
        self.error: PeerError | None = None

    def has_stalled(self, counters: SubOperations) -> bool:
        """Tell whether they have stood still for too long; an answer without any tells nothing."""
        now = time.monotonic()
        if counters != self._last or counters == SubOperations():
            self._last, self._since = counters, now
        elif now - self._since > STALLED_S:
            self.error = PeerError(Outcome.TIMED_OUT, f"nothing was sent for {STALLED_S:g} s")
        return self.error is not None


SUCCESS = 0x0000


@dataclass(frozen=True, slots=True)
class SubOperations:
    """The counters of a C-MOVE response (PS3.7 9.1.4.1); None where the peer leaves one out."""

    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None


class MoveResponse(NamedTuple):
    """One answer to a request with sub-operations."""

    status_code: int
    sub_operations: SubOperations
    failed_sop_instance_uids: tuple[str, ...] = ()


@dataclass(slots=True)
class MoveResult:
    """What came of one request, as far as the peer says; what arrived is another question."""

    #: Final status; None if no final answer came.
    status_code: int | None = None
    #: Counters of the final answer.
    sub_operations: SubOperations = field(default_factory=SubOperations)
    #: Failed SOP Instance UID List (0008,0058) of the final answer, as far as it can be read.
    failed_sop_instance_uids: tuple[str, ...] = ()
    #: None for success (0x0000) and for warnings (0xBxxx).
    error: PeerError | InterruptedWorkError | None = None
    duration_ms: int = 0


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
    """Return what a final status means; None for success and for warnings."""
    if status_code == SUCCESS or is_warning(status_code):
        return None
    if cancellation is not None and cancellation.requested:
        return InterruptedWorkError(cancellation.reason)
    return status_error(status_code)


def is_warning(status_code: int) -> bool:
    """Tell whether a status says: done, with failures or warnings among the sub-operations (PS3.7 C.3)."""
    return 0xB000 <= status_code <= 0xBFFF or status_code in (0x0001, 0x0107, 0x0116)  # noqa: PLR2004
