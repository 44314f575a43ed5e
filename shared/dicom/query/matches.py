"""Matches of a C-FIND as plain values: tolerant of what a PACS sends, strict in what is passed on.

An attribute that was not returned, or returned empty, is None: most PACS do not distinguish the two. Text is
freed of what databases refuse. A match without a valid UID of its level is no match (`MalformedMatchError`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from shared.dicom.query.match_elements import MalformedMatchError, Match, attribute_name
from shared.errors import InvalidInputError
from shared.identifiers import Uid

_INT32 = 2**31 - 1
#: Characters that are kept of an SH; the standard has 16 (PS3.5 6.2), and some archives send more.
ACCESSION_NUMBER_MAX_LENGTH, STATION_NAME_MAX_LENGTH = 64, 256
#: Characters of an integer string with several values, of which the first one is read.
_LONGEST_LIST = 1000

#: A code of a modality: a code string (CS, PS3.5 6.2) without blanks.
_MODALITY = re.compile(r"[A-Z0-9_]{1,16}")


@dataclass(frozen=True, slots=True)
class StudyMatch:
    """A match at STUDY level (PS3.4 C.6.2.1.2)."""

    study_instance_uid: str
    modalities: tuple[str, ...] | None = None
    description: str | None = None
    station_name: str | None = None
    series_count: int | None = None
    instance_count: int | None = None
    study_date: str | None = None
    study_time: str | None = None
    accession_number: str | None = None

    def codes(self) -> frozenset[str]:
        """Return the codes of ModalitiesInStudy, without values that are no code (`*`, `CT/SR`, `ct`)."""
        return frozenset(code for code in map(returned, self.modalities or ()) if code and _is_code(code))

    def codes_are_known(self) -> bool:
        """Return whether ModalitiesInStudy was returned and each of its values is a code."""
        codes = [code for code in map(returned, self.modalities or ()) if code]
        return bool(codes) and all(map(_is_code, codes))


@dataclass(frozen=True, slots=True)
class SeriesMatch:
    """A match at SERIES level (PS3.4 C.6.1.1.4)."""

    series_instance_uid: str
    modality: str | None = None
    description: str | None = None
    station_name: str | None = None
    instance_count: int | None = None
    series_number: int | None = None
    study_instance_uid: str | None = None

    def code(self) -> str | None:
        """Return the modality as it is compared; None where it was not returned, is blank or no code."""
        code = (returned(self.modality) or "").upper()
        return code if _is_code(code) else None

    def count(self) -> int | None:
        """Return the number of objects; None where it was not returned (some send 0 for that)."""
        return self.instance_count if self.instance_count and self.instance_count > 0 else None


@dataclass(frozen=True, slots=True)
class ObjectMatch:
    """A match at IMAGE level (PS3.4 C.6.1.1.5)."""

    sop_instance_uid: str
    sop_class_uid: str | None = None
    instance_number: int | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None


def objects_of_series(matches: Iterable[ObjectMatch], series_instance_uid: str) -> list[ObjectMatch]:
    """Return the matches without those that name another series: some PACS match on the study alone."""
    return [match for match in matches if match.series_instance_uid in (None, series_instance_uid)]


def returned(text: str | None) -> str | None:
    """Return the text without outer blanks; None where nothing is left: blank counts as not returned."""
    return (text or "").strip() or None


def _is_code(text: str) -> bool:
    return _MODALITY.fullmatch(text) is not None


def study_match(match: Match) -> StudyMatch:
    """Read a match at STUDY level.

    Raises:
        MalformedMatchError: it has no valid Study Instance UID.
    """
    return StudyMatch(
        study_instance_uid=_own_uid(match, "StudyInstanceUID"),
        modalities=match.texts("ModalitiesInStudy"),
        description=match.text("StudyDescription"),
        station_name=match.text("StationName", STATION_NAME_MAX_LENGTH),
        study_date=_short(match, "StudyDate", 16),
        study_time=_short(match, "StudyTime", 32),
        accession_number=match.text("AccessionNumber", ACCESSION_NUMBER_MAX_LENGTH),
        series_count=_count(match, "NumberOfStudyRelatedSeries"),
        instance_count=_count(match, "NumberOfStudyRelatedInstances"),
    )


def series_match(match: Match) -> SeriesMatch:
    """Read a match at SERIES level.

    Raises:
        MalformedMatchError: it has no valid Series Instance UID.
    """
    return SeriesMatch(
        study_instance_uid=_uid(match, "StudyInstanceUID"),
        series_instance_uid=_own_uid(match, "SeriesInstanceUID"),
        modality=_short(match, "Modality", 64),
        description=match.text("SeriesDescription"),
        station_name=match.text("StationName", STATION_NAME_MAX_LENGTH),
        series_number=_integer(match, "SeriesNumber"),
        instance_count=_count(match, "NumberOfSeriesRelatedInstances"),
    )


def object_match(match: Match) -> ObjectMatch:
    """Read a match at IMAGE level.

    Raises:
        MalformedMatchError: it has no valid SOP Instance UID.
    """
    return ObjectMatch(
        study_instance_uid=_uid(match, "StudyInstanceUID"),
        series_instance_uid=_uid(match, "SeriesInstanceUID"),
        sop_instance_uid=_own_uid(match, "SOPInstanceUID"),
        sop_class_uid=_uid(match, "SOPClassUID"),
        instance_number=_integer(match, "InstanceNumber"),
    )


def _short(match: Match, keyword: str, longest: int) -> str | None:
    text = match.text(keyword)
    return text[:longest] if text else None


def _integer(match: Match, keyword: str) -> int | None:
    """Return the first value of an IS element."""
    text = match.text(keyword)
    try:
        number = int(text.split("\\")[0]) if text and len(text) < _LONGEST_LIST else None
    except ValueError:
        return None
    return number if number is not None and -_INT32 <= number <= _INT32 else None


def _count(match: Match, keyword: str) -> int | None:
    number = _integer(match, keyword)
    return number if number is not None and number >= 0 else None


def _uid(match: Match, keyword: str) -> str | None:
    text = match.text(keyword)
    try:
        return str(Uid.parse(keyword, text)) if text else None
    except InvalidInputError:
        return None


def _own_uid(match: Match, keyword: str) -> str:
    try:
        return str(Uid.parse(keyword, match.text(keyword) or ""))
    except InvalidInputError as error:
        raise MalformedMatchError(f"its {attribute_name(keyword)} {error.problem}") from None
