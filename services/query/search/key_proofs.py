"""What proves that a node heeds a key: studies that were found, and what has to bring them as well. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from shared.dicom.query.dates import day_of
from shared.dicom.query.matches import OTHER_CODES, StudyMatch
from shared.querying.slices import Slice

#: A day of which no archive has a study.
LONG_AGO = date(1800, 1, 1)

_DAY = timedelta(days=1)
#: Studies of which the time of all means something.
_MANY = 20

#: Codes of objects that belong to images of another modality, and those of combined systems.
_COMPANIONS = frozenset({"SR", "PR", "KO", "OT", "DOC", "PT", "NM"})


def days_with_studies(window: Slice, matches: Iterable[StudyMatch]) -> dict[date, list[StudyMatch]]:
    """Return the studies by their day; where some have a time of day, without those that have none.

    Where some dates have the form of the standard, without those of another form: an archive that matches on
    them as text does not find these in a range.
    """
    every = [(day, match) for match in matches if (day := day_of(match.study_date)) is not None]
    dated = [(day, match) for day, match in every if _is_plain(match.study_date)] or every
    first, last = window.date_from or date.min, window.date_until or date.max
    inside = [(day, match) for day, match in dated if first <= day <= last]
    timed = [(day, match) for day, match in inside if not _is_midnight(match)]
    days: dict[date, list[StudyMatch]] = {}
    for day, match in timed or inside:
        days.setdefault(day, []).append(match)
    return days


def _is_plain(study_date: str | None) -> bool:
    return (study_date or "").strip()[:8].isdecimal()


def is_conclusive(days: Mapping[date, Sequence[StudyMatch]]) -> bool:
    """Return whether a range that brings these days reaches to their ends.

    A study at midnight may be found where the others of its day are not; an archive of which many studies are
    at midnight keeps no other time.
    """
    matches = [match for studies in days.values() for match in studies]
    return len(matches) >= _MANY or not all(map(_is_midnight, matches))


def _is_midnight(match: StudyMatch) -> bool:
    return match.study_time is not None and not match.study_time.strip("0:. ")


def ranges_to_show(window: Slice, days: Mapping[date, object]) -> list[tuple[date, date]]:
    """Return the ranges that begin and end at days with studies; none where the window is one.

    A single day is shown to be the last of a range, and the first of another.
    """
    first, last = min(days), max(days)
    if first == last:
        return [
            (first - _DAY if first > date.min else first, first),
            (first, first + _DAY if first < date.max else first),
        ]
    return [] if (first, last) == (window.date_from, window.date_until) else [(first, last)]


def is_found_by_another_code(window: Slice, found: Iterable[StudyMatch]) -> bool:
    """Return whether a study was found by a code that is neither its first nor its last one, or not returned.

    A node that returns one code of each study and finds it by another matches on all of them.
    """
    requested = window.codes()
    known = [codes for match in found if (codes := _codes_in_order(match))]
    first = any(len(codes) > 1 and codes[0] not in requested for codes in known)
    last = any(len(codes) > 1 and codes[-1] not in requested for codes in known)
    # A code that is a part of another one may be matched by that part alone (PT, OPT).
    unreturned = any(not any(code in own for own in codes for code in requested) for codes in known)
    return (first and last) or unreturned


def codes_to_show(
    window: Slice, found: Iterable[StudyMatch], control: Iterable[StudyMatch]
) -> tuple[StudyMatch | None, Sequence[str]]:
    """Return a study with several codes, and those by which it is yet to be found: its first and its last."""
    requested = window.codes()
    for studies in (found, control):
        for match in studies:
            codes = _codes_in_order(match)
            if len(codes) > 1:
                by_itself = requested if len(requested) == 1 and studies is found else ()
                return match, [code for code in (codes[0], codes[-1]) if code not in by_itself]
    return None, ()


def partner_code(window: Slice, control: Iterable[StudyMatch]) -> str | None:
    """Return a code that studies of the window's codes often have, too; None where codes are returned."""
    if any(match.modalities for match in control):
        return None
    return "SR" if "SR" not in window.codes() else "CT"


def single_companions(window: Slice, control: Iterable[StudyMatch]) -> list[StudyMatch]:
    """Return the studies whose only code often stands beside another one, where no study has several codes.

    A node that keeps one code of each study may have kept that of a report. What it returns is not all.
    """
    codes = {match: own for match in control if (own := _codes_in_order(match))}
    if any(len(own) > 1 for own in codes.values()):
        return []
    single = _COMPANIONS.difference(window.codes())
    return [
        replace(match, modalities=(*own, OTHER_CODES)) for match, own in codes.items() if own[0] in single
    ]


def _codes_in_order(match: StudyMatch) -> list[str]:
    """Return the codes of a study as they were returned; empty where one of them is none."""
    return (
        list(dict.fromkeys(code.strip() for code in match.modalities or ()))
        if match.codes_are_known()
        else []
    )
