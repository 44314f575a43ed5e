"""A window that cannot be split: a minute, or a day of a node that does not match on times.

Its matches may be cut off, or came in pages: behind a page may be nothing although there is more (Orthanc
1.10, by modality). Other keys, and wider windows, show that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from services.query.search.splitting import by_description, by_second, has_strays, is_ignored, is_minute
from services.query.search.wider_windows import NumberProof
from services.query.search.window_find import WindowFind
from shared.dicom.query.matches import FindResult, StudyMatch
from shared.querying.slices import Slice


def beyond_cap(
    window: Slice, result: FindResult[StudyMatch], find: WindowFind, cap: int | None
) -> tuple[FindResult[StudyMatch], bool]:
    """Search a minute by its seconds, then by descriptions; return all studies, and whether these are all.

    A day is searched by descriptions only; so is a minute in pages, whose seconds have been searched.

    Raises:
        PeerError: there is no association.
        InterruptedWorkError: stopping was requested.
    """
    matches = result.matches
    # A node that stops at one match shows it for each second, and that proves nothing.
    if cap == 1 or is_ignored(window, matches):
        return result, False
    believes = _below(cap or len(matches))
    found, all_of_them = list[StudyMatch](), False
    if is_minute(window) and not result.largest_page:
        found, all_of_them = by_second(matches, window.minutes()[0], find.narrower, believes)
    found += [] if all_of_them else by_description(matches, find.narrower, believes)
    return replace(result, matches=[*matches, *found]), all_of_them


def beyond_result(
    window: Slice, result: FindResult[StudyMatch], find: WindowFind, number: NumberProof, cap: int | None
) -> tuple[FindResult[StudyMatch], bool | None]:
    """Search a minute by its seconds, then the window without its codes; return all studies of both.

    With it: whether these are all there are; None: nothing follows.

    Raises:
        PeerError: there is no association.
        InterruptedWorkError: stopping was requested.
    """
    if window.days != 1 or is_ignored(window, result.matches):
        return result, None
    found: list[StudyMatch] = []
    if is_minute(window):
        believes = _below(cap or len(result.matches))
        found, all_of_them = by_second(result.matches, window.minutes()[0], find.narrower, believes)
        if all_of_them:
            return _with_others(result, found), True
    control = find.control(replace(window, code=None)) if window.codes() else result
    control.raise_interruption()
    if not control.complete:
        return _with_others(result, found), False if result.largest_page else None
    others = _of_its_codes(window, result, control)
    held_back = [match for match in others if match.codes_are_known()]
    both = _with_others(result, [*found, *(others if find.is_web else held_back)])
    if held_back:
        return both, False
    # What pages hold back of a code shows only where the search without it is known to be complete.
    exceeded = number.is_exceeded(control if find.is_web else result, control)
    return both, False if exceeded is None and result.largest_page else exceeded


def _below(cap: int) -> Callable[[int], bool]:
    return lambda matches: matches < cap


def _with_others(result: FindResult[StudyMatch], found: Iterable[StudyMatch]) -> FindResult[StudyMatch]:
    known = {match.study_instance_uid for match in result.matches}
    others = [match for match in found if match.study_instance_uid not in known]
    return replace(result, matches=[*result.matches, *others])


def _of_its_codes(
    window: Slice, result: FindResult[StudyMatch], control: FindResult[StudyMatch]
) -> list[StudyMatch]:
    """Return the other studies that have one of the window's codes, or codes that are not known."""
    codes, known = set(window.codes()), {match.study_instance_uid for match in result.matches}
    return [
        match
        for match in control.matches
        if match.study_instance_uid not in known
        and not (match.codes_are_known() and codes.isdisjoint(match.codes()))
        and not has_strays(window, [match])
    ]
