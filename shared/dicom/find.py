"""C-FIND (PS3.4 C.4.1): one request, all its answers, and the final status, never taken for granted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydicom.dataset import Dataset

from shared.dicom.asking_link import PENDING
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.find_link import FindLink
from shared.dicom.link import Link
from shared.dicom.match import BrokenAnswerError, Match, match_of
from shared.dicom.status import status_error

T = TypeVar("T")

SUCCESS = 0x0000

#: Answers to one request beyond which it is ended: a peer that never ends must not fill the memory.
MAX_ANSWERS = 500_000


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
    link: Link, identifier: Dataset, read: Callable[[Match], T], cancellation: Cancellation | None = None
) -> FindResult[T]:
    """Send one C-FIND and take all its answers; what went wrong stands in the result.

    The association is aborted if no final answer came, so that no late answer meets the next request.

    Raises:
        NotNowError: the node's limits do not allow a request now.
        InterruptedWorkError: stopping was asked for while it was waited until they do.
    """
    if not isinstance(link, FindLink):
        raise TypeError(f"a C-FIND needs an association for it, not {type(link).__name__}")
    result: FindResult[T] = FindResult()
    link.admit()
    began = time.monotonic()
    try:
        _collect(link, identifier, read, cancellation, result)
    except (PeerError, InterruptedWorkError) as error:
        result.error = error
    result.duration_ms = round((time.monotonic() - began) * 1000)
    if result.status_code is None:
        link.abort()
    return result


def _collect(
    link: FindLink,
    identifier: Dataset,
    read: Callable[[Match], T],
    cancellation: Cancellation | None,
    result: FindResult[T],
) -> None:
    for answer in link.answers(identifier, cancellation):
        if answer.status_code not in PENDING:
            result.status_code = answer.status_code
        elif len(result.matches) + result.broken == MAX_ANSWERS:
            raise PeerError(Outcome.BAD_ANSWER, f"more than {MAX_ANSWERS} answers to one request")
        else:
            _take(link, answer.identifier, read, result)
    if result.status_code != SUCCESS:
        assert result.status_code is not None
        result.error = status_error(result.status_code)
        if cancellation is not None and cancellation.requested:
            result.error = InterruptedWorkError(cancellation.reason)
    elif result.broken:
        result.error = PeerError(Outcome.BAD_ANSWER, f"{result.broken} answers could not be read")


def _take(link: FindLink, encoded: bytes | None, read: Callable[[Match], T], result: FindResult[T]) -> None:
    try:
        result.matches.append(read(match_of(encoded, implicit=link.implicit)))
    except BrokenAnswerError:
        result.broken += 1
