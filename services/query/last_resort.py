"""The last resort where a minute holds more studies than the PACS answers: its seconds, then descriptions.

Seconds divide a minute wholly: they are believed where each is answered within the cap and together they name
every study of the capped answer. First letters of descriptions only find more: a study may have none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from string import ascii_uppercase, digits

from shared.dicom.answers import StudyMatch
from shared.dicom.find import FindResult

_SECONDS_OF_A_MINUTE = 60
_LETTERS = ascii_uppercase + digits

#: These have a meaning of their own in a key (PS3.4 C.2.2.2.4).
_WILD = frozenset("*?\\")

#: Asks for the minute with one key more narrow: its keyword and its value.
Ask = Callable[[str, str], FindResult[StudyMatch]]


def by_second(
    capped: Sequence[StudyMatch], minute: int, ask: Ask, believes: Callable[[int], bool]
) -> tuple[list[StudyMatch], bool]:
    """Return what was found in the seconds of a minute of the day, and whether that is all there is."""
    hhmm = f"{minute // 60:02}{minute % 60:02}"
    found: list[StudyMatch] = []
    for second in range(_SECONDS_OF_A_MINUTE):
        result = ask("StudyTime", f"{hhmm}{second:02}-{hhmm}{second:02}.999999")
        found += result.matches
        if not result.complete or not believes(len(result.matches)):
            return found, False
    return found, _uids(capped) <= _uids(found)


def by_description(
    capped: Sequence[StudyMatch], ask: Ask, believes: Callable[[int], bool]
) -> list[StudyMatch]:
    """Return what was found by the first letters of descriptions (0008,1030).

    The letters that are most frequent in the capped answer come first, so that a PACS that is capped again,
    or ignores the key, costs one request.
    """
    found: list[StudyMatch] = []
    for letter in _letters(capped):
        result = ask("StudyDescription", f"{letter}*")
        found += result.matches
        if not result.complete or not believes(len(result.matches)):
            break
    return found


def _letters(capped: Sequence[StudyMatch]) -> list[str]:
    seen = Counter(match.description[0] for match in capped if match.description)
    frequent = [letter for letter, _ in seen.most_common() if letter not in _WILD]
    return list(dict.fromkeys([*frequent, *_LETTERS]))


def _uids(matches: Iterable[StudyMatch]) -> set[str]:
    return {match.study_instance_uid for match in matches}
