"""A window of one minute, which cannot be split: what other keys show of it.

Its matches may be cut off, or came in pages: behind a page may be nothing although there is more (Orthanc
1.10, by modality).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from services.query.search.splitting import by_description, by_second, has_strays, is_ignored
from services.query.search.window_find import WindowFind
from shared.dicom.errors import InterruptedWorkError
from shared.dicom.query.matches import FindResult, StudyMatch
from shared.querying.slices import Slice


def beyond_cap(
    window: Slice, result: FindResult[StudyMatch], find: WindowFind, cap: int | None
) -> tuple[FindResult[StudyMatch], bool]:
    """Search a minute by its seconds, then by descriptions; return all studies, and whether these are all.

    Raises:
        PeerError: there is no association.
        InterruptedWorkError: stopping was requested.
    """
    matches = result.matches
    # A node that stops at one match shows it for each second, and that proves nothing.
    if cap == 1 or is_ignored(window, matches):
        return result, False
    believes = _below(cap or len(matches))
    found, all_of_them = by_second(matches, window.minutes()[0], find.narrower, believes)
    found += [] if all_of_them else by_description(matches, find.narrower, believes)
    return replace(result, matches=[*matches, *found]), all_of_them


def beyond_pages(
    window: Slice, result: FindResult[StudyMatch], find: WindowFind, cap: int | None
) -> tuple[FindResult[StudyMatch], bool | None]:
    """Search the seconds of a minute, then the minute without its codes; return all studies of both.

    With it: whether these are all there are, as each second came at once; False: the pages held back some;
    None: nothing follows.

    Raises:
        PeerError: there is no association.
        InterruptedWorkError: stopping was requested.
    """
    if window.days != 1 or is_ignored(window, result.matches):
        return result, None
    believes = _below(cap or len(result.matches))
    found, all_of_them = by_second(result.matches, window.minutes()[0], find.narrower, believes)
    if not all_of_them:
        found += _of_any_code(window, find)
    known = {match.study_instance_uid for match in result.matches}
    others = [match for match in found if match.study_instance_uid not in known]
    both = replace(result, matches=[*result.matches, *others])
    return both, True if all_of_them else (False if others else None)


def _below(cap: int) -> Callable[[int], bool]:
    return lambda matches: matches < cap


def _of_any_code(window: Slice, find: WindowFind) -> list[StudyMatch]:
    """Return the studies of the window that have one of its codes, and come where none is requested."""
    if not window.codes():
        return []
    control = find.control(replace(window, code=None))
    if isinstance(control.error, InterruptedWorkError):
        raise control.error
    codes = set(window.codes())
    return [
        match
        for match in control.matches
        if not codes.isdisjoint(match.codes()) and not has_strays(window, [match])
    ]
