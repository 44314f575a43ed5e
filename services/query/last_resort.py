"""The last resort where a minute holds more studies than the PACS answers: first letters of descriptions.

It is believed only where it names every study that the capped answer named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from string import ascii_uppercase, digits

from shared.dicom.answers import StudyMatch
from shared.dicom.find import FindResult

_LETTERS = ascii_uppercase + digits

#: These have a meaning of their own in a key (PS3.4 C.2.2.2.4).
_WILD = frozenset("*?\\")


def by_description(
    capped: Sequence[StudyMatch],
    ask: Callable[[str], FindResult[StudyMatch]],
    believes: Callable[[int], bool],
) -> tuple[list[StudyMatch], bool]:
    """Return what was found by the first letters of descriptions, and whether that is all there is.

    `ask` takes a StudyDescription (0008,1030) with a wildcard; the letters that are most frequent in the
    capped answer come first, so that a PACS that is capped again, or ignores the key, costs one request.
    """
    if any(match.description is None for match in capped):
        return [], False
    found: list[StudyMatch] = []
    for letter in _letters(capped):
        result = ask(f"{letter}*")
        found += result.matches
        if not result.complete or not believes(len(result.matches)):
            return found, False
    named = {match.study_instance_uid for match in found}
    return found, all(match.study_instance_uid in named for match in capped)


def _letters(capped: Sequence[StudyMatch]) -> list[str]:
    seen = Counter(match.description[0] for match in capped if match.description)
    frequent = [letter for letter, _ in seen.most_common() if letter not in _WILD]
    return list(dict.fromkeys([*frequent, *_LETTERS]))
