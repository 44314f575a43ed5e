"""C-FIND (PS3.4 C.4.1): one request, all its answers, and the final status, never taken for granted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from shared.dicom.answers import BrokenAnswerError
from shared.dicom.association import Link, guarded
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.sop_classes import STUDY_ROOT_FIND
from shared.dicom.status import status_error

T = TypeVar("T")

SUCCESS = 0x0000

#: Of a sequence whose end is marked by a delimiter (PS3.5 7.1).
_UNDEFINED_LENGTH = 0xFFFFFFFF
PENDING = frozenset({0xFF00, 0xFF01})


@dataclass(slots=True)
class FindResult(Generic[T]):
    """What came of one C-FIND; the matches are all there are only if it is complete."""

    matches: list[T] = field(default_factory=list)
    #: Matches that could not be read.
    broken: int = 0
    #: Final status; None if no final answer came.
    status_code: int | None = None
    error: PeerError | InterruptedWorkError | None = None
    duration_ms: int = 0

    @property
    def complete(self) -> bool:
        """Whether the peer ended with success and every match was readable."""
        return self.error is None


def find(
    link: Link, identifier: Dataset, read: Callable[[Dataset], T], cancellation: Cancellation | None = None
) -> FindResult[T]:
    """Send one C-FIND and take all its answers; what went wrong stands in the result.

    The association is aborted if no final answer came, so that no late answer meets the next request.
    """
    result: FindResult[T] = FindResult()
    began = time.monotonic()
    message_id = link.next_message_id()
    guarded(link, message_id, STUDY_ROOT_FIND, cancellation)
    try:
        _collect(link, identifier, message_id, read, result)
    except (ValueError, RuntimeError) as failure:
        # pynetdicom: the context was not accepted (ValueError), or the association is gone (RuntimeError).
        result.error = _unsendable(link, failure)
    result.duration_ms = round((time.monotonic() - began) * 1000)
    if result.status_code is None:
        link.abort()
    return result


def _collect(
    link: Link, identifier: Dataset, message_id: int, read: Callable[[Dataset], T], result: FindResult[T]
) -> None:
    for status, match in link.assoc.send_c_find(identifier, STUDY_ROOT_FIND, msg_id=message_id):
        code = status.get("Status")
        if code in PENDING:
            _take(match, read, result)
        else:
            result.status_code = code
    if result.status_code is None:
        result.error = link.failure()
    elif result.status_code != SUCCESS:
        result.error = status_error(result.status_code)
        if link.answers.cancellation is not None and link.answers.cancellation.requested:
            result.error = InterruptedWorkError(link.answers.cancellation.reason)
    elif result.broken:
        detail = f"{result.broken} answers could not be read"
        result.error = PeerError(Outcome.BAD_ANSWER, detail)


def _take(match: Dataset | None, read: Callable[[Dataset], T], result: FindResult[T]) -> None:
    if match is None or _cut_off(match):
        result.broken += 1
        return
    try:
        result.matches.append(read(match))
    except BrokenAnswerError:
        result.broken += 1


def _cut_off(match: Dataset) -> bool:
    """Tell whether the last element is shorter than it says: pydicom reads what is there, without a word."""
    tags = list(match.keys())
    last: object = match.get_item(tags[-1]) if tags else None
    if not isinstance(last, RawDataElement) or last.value is None or last.length == _UNDEFINED_LENGTH:
        return False
    return len(last.value) < last.length


def _unsendable(link: Link, failure: Exception) -> PeerError:
    if link.assoc.is_established:
        return PeerError(Outcome.NOT_SUPPORTED, str(failure), permanent=True)
    return PeerError(Outcome.ABORTED, "the association ended before the request was sent")
