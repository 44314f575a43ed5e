"""Optional keys that have a request refused: found out by leaving them out, and remembered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pydicom.dataset import Dataset

from services.query.profile.learner import Learner
from shared.dicom.errors import PeerError
from shared.dicom.query.identifiers import OPTIONAL_KEYS, can_be_left_out, without
from shared.dicom.query.matches import FindResult
from shared.dicom.status import TOO_MUCH

T = TypeVar("T")

#: What a request ends with that holds a key, or a value of one, that the node does not take (PS3.7 annex C):
#: "processing failure", no such, invalid, missing or mistyped attribute or argument, "SOP class not
#: supported"; and "identifier does not match SOP class" (PS3.4 C.4.1.1.4).
_OF_KEYS = frozenset(
    {0x0105, 0x0106, 0x0107, 0x0110, 0x0114, 0x0115, 0x0116, 0x0120, 0x0121, 0x0122, 0x0212, 0xA900}
)


def is_too_much(result: FindResult[T]) -> bool:
    """Return whether a request was refused for its size, and not for its keys."""
    return isinstance(result.error, PeerError) and result.error.status_code in TOO_MUCH


def may_be_the_keys(result: FindResult[T]) -> bool:
    """Return whether a request may have been refused because of a key: at once, and not for its size."""
    error = result.error
    if result.matches or not isinstance(error, PeerError) or error.status_code is None:
        return False
    unable_to_process = 0xC000 <= error.status_code <= 0xCFFF  # noqa: PLR2004 - PS3.4 C.4.1.1.4
    return unable_to_process or error.status_code in _OF_KEYS


def find_without_refused_keys(
    learner: Learner,
    level: str,
    identifier: Dataset,
    refusal: FindResult[T],
    find: Callable[[Dataset], FindResult[T]],
) -> FindResult[T]:
    """Send a refused request again without its optional keys, and learn which of them the node refuses.

    Returns the last result; the refusal, if the optional keys are not the reason.
    """
    result, refused = find_refused(identifier, level, lambda leave: find(without(identifier, leave)))
    if refused:
        learner.learn(lambda profile: profile.refuses(level, refused))
    return result or refusal


def find_refused(
    identifier: Dataset, level: str, find: Callable[[frozenset[str]], FindResult[T]]
) -> tuple[FindResult[T] | None, frozenset[str]]:
    """Find without optional keys, then put them back one by one; return the last result and what is refused.

    `find` leaves out the keywords that it is given. None: the optional keys are not the reason.
    """
    optional = [keyword for keyword in OPTIONAL_KEYS[level] if _may_be_left_out(identifier, keyword)]
    result_without = find(frozenset(optional)) if optional else None
    if result_without is None or not _takes_keys(result_without):
        return None, frozenset()
    return _put_back(optional, result_without, find)


def _takes_keys(result: FindResult[T]) -> bool:
    """Return whether a request was not refused for its keys; it may be too much."""
    began = bool(result.matches) and result.status_code is not None
    return result.complete or began or is_too_much(result)


def _may_be_left_out(identifier: Dataset, keyword: str) -> bool:
    """Return whether a request can do without a key; a list may be refused for being one, not for its key."""
    return can_be_left_out(identifier, keyword) and identifier[keyword].VM <= 1


def _put_back(
    optional: Sequence[str], result_without: FindResult[T], find: Callable[[frozenset[str]], FindResult[T]]
) -> tuple[FindResult[T], frozenset[str]]:
    refused = frozenset(optional)
    for keyword in optional:
        attempt = find(refused - {keyword})
        if _takes_keys(attempt):
            result_without, refused = attempt, refused - {keyword}
        elif not may_be_the_keys(attempt):
            return attempt, refused
    return result_without, refused
