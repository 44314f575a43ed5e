"""Results of C-FINDs and their matches as plain values: tolerant of what comes, strict in what is kept.

An attribute that was not returned, or returned empty, is None: most PACS do not distinguish the two. Text is
freed of what databases refuse. A match without a valid UID of its level is no match (`MalformedMatchError`).
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar

from pydicom.datadict import dictionary_description, tag_for_keyword

from shared.dicom.errors import InterruptedWorkError, PeerError
from shared.dicom.query.character_sets import decoded
from shared.dicom.upper_layer.data_elements import elements_of
from shared.dicom.upper_layer.errors import MalformedDataSetError
from shared.errors import DoseQRError, InvalidInputError
from shared.identifiers import Uid

T = TypeVar("T")

_SPECIFIC_CHARACTER_SET = 0x00080005

#: Characters of a text that is read; LO and SH have 64 and 16 (PS3.5 6.2), and real archives send more.
TEXT_MAX_LENGTH = 4096
#: The end of a text that was longer than is kept.
CUT_MARK = "… [cut]"
#: Bytes of a value that are decoded: no character has more than four.
_VALUE_MAX_BYTES = 4 * (TEXT_MAX_LENGTH + 1)

_INT32 = 2**31 - 1
#: Characters that are kept of an SH; the standard has 16 (PS3.5 6.2), and some archives send more.
ACCESSION_NUMBER_MAX_LENGTH, STATION_NAME_MAX_LENGTH = 64, 256
#: Characters of an integer string with several values, of which the first one is read.
_LONGEST_LIST = 1000

_TERMS_OF_MODALITY = """
ANN AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD IO IOL
IVOCT IVUS KER KO LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX
REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF
STAIN TEXTUREMAP TG US VA XA XAPROTOCOL XC
AS CD CF CP CS DD DF DM DS EC FA FS LP MA MS OPR ST VF
"""
#: Defined Terms of Modality (PS3.3 C.7.3.1.1.1), the retired ones included. Archives put other words there,
#: of which nothing follows (`CTSR`, `UNKNOWN`, `NULL`, `DOSE`).
MODALITIES = frozenset(_TERMS_OF_MODALITY.split())


#: Stands among the modalities of a study for codes that it was found by and that are not returned.
OTHER_CODES = "?"


@dataclass(slots=True)
class FindResult(Generic[T]):
    """The result of one C-FIND; only a complete one holds all matches there are."""

    matches: list[T] = field(default_factory=list)
    #: Matches that could not be read, and what was wrong with the first of them.
    broken: int = 0
    problem: str = ""
    #: Final status; None if no final response came.
    status_code: int | None = None
    error: PeerError | InterruptedWorkError | None = None
    duration_ms: int = 0
    #: Matches of the largest of several pages, where they came in pages (DICOMweb); else 0.
    largest_page: int = 0

    @property
    def together(self) -> int:
        """The number of matches that came at once: pages say nothing about how many more that may be."""
        return self.largest_page or len(self.matches)

    @property
    def complete(self) -> bool:
        """Whether the peer ended with success and every match was readable."""
        return self.error is None

    def raise_interruption(self) -> None:
        """Raise what the request was interrupted by, if it was.

        Raises:
            InterruptedWorkError: stopping was requested.
        """
        if isinstance(self.error, InterruptedWorkError):
            raise self.error

    def complete_matches(self) -> list[T]:
        """Return all matches.

        Raises:
            PeerError, InterruptedWorkError: the result is not complete.
        """
        if self.error is not None:
            raise self.error
        return self.matches


class MalformedMatchError(DoseQRError):
    """A pending C-FIND response without a usable match: its data set or its UID cannot be read."""


class Match:
    """The elements of one match."""

    __slots__ = ("_elements",)

    def __init__(self, elements: dict[int, bytes]) -> None:
        self._elements = elements

    def text(self, keyword: str, max_length: int = TEXT_MAX_LENGTH) -> str | None:
        """Return a value as text, several joined by backslashes; None where there is none.

        A text that is longer than `max_length` characters is cut, and ends in `CUT_MARK`.
        """
        return self._decoded(self._elements.get(_tag(keyword), b""), max_length)

    def _decoded(self, value: bytes, max_length: int) -> str | None:
        if not value:
            return None
        text = _clean(decoded(value[:_VALUE_MAX_BYTES], self._elements.get(_SPECIFIC_CHARACTER_SET, b"")))
        if len(text) > max_length:
            text = text[: max_length - len(CUT_MARK)] + CUT_MARK
        return text or None

    def texts(self, keyword: str) -> tuple[str, ...] | None:
        """Return the values of an element, each once; None where there is none.

        Some archives put NULs between values, where the standard has backslashes.
        """
        value = self._elements.get(_tag(keyword), b"").rstrip(b"\0").replace(b"\0", b"\\")
        text = self._decoded(value, TEXT_MAX_LENGTH)
        if text is None:
            return None
        return tuple(dict.fromkeys(filter(None, (part.strip() for part in text.split("\\"))))) or None


def match_of(encoded: bytes | None) -> Match:
    """Return the match that a response holds.

    Raises:
        MalformedMatchError: there is none, or its lengths do not fit.
    """
    if encoded is None:
        raise MalformedMatchError("a pending response without an identifier")
    try:
        return Match(elements_of(encoded))
    except MalformedDataSetError as error:
        raise MalformedMatchError(f"its identifier {error}") from error


def attribute_name(keyword: str) -> str:
    """Return the name and tag of an attribute, for people (PS3.6)."""
    tag = _tag(keyword)
    return f"{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


@lru_cache(maxsize=256)
def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


def _clean(text: str) -> str:
    """Return a text without what pads it and what databases refuse."""
    return text.replace("\x00", "").strip().encode("utf-8", "replace").decode()


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
        """Return the codes of ModalitiesInStudy, without values that are none (`*`, `CT/SR`, `ct`)."""
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
        """Return the modality as it is compared; None where it was not returned, or is no single code."""
        codes = {code for part in (self.modality or "").split("\\") if (code := part.strip().upper())}
        return codes.pop() if len(codes) == 1 and codes <= MODALITIES else None

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


@dataclass(frozen=True, slots=True)
class RelationalMatch:
    """A match at IMAGE level that shows its series, too."""

    of_object: ObjectMatch
    of_series: SeriesMatch


def objects_of_series(matches: Iterable[ObjectMatch], series_instance_uid: str) -> list[ObjectMatch]:
    """Return the matches without those that name another series: some PACS match on the study alone."""
    return [match for match in matches if match.series_instance_uid in (None, series_instance_uid)]


def series_of_study(matches: Iterable[SeriesMatch], study_instance_uid: str) -> list[SeriesMatch]:
    """Return the matches without those that name another study: some PACS ignore the key."""
    return [match for match in matches if match.study_instance_uid in (None, study_instance_uid)]


def returned(text: str | None) -> str | None:
    """Return the text without outer blanks; None where nothing is left: blank counts as not returned."""
    return (text or "").strip() or None


def _is_code(text: str) -> bool:
    return text in MODALITIES


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


def relational_match(match: Match) -> RelationalMatch:
    """Read a match at IMAGE level with what it shows of its series.

    Raises:
        MalformedMatchError: it has no valid SOP Instance UID, or none of its series.
    """
    return RelationalMatch(object_match(match), series_match(match))


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
    """Return a UID, of several that are the same one."""
    uids = match.texts(keyword) or ()
    try:
        return str(Uid.parse(keyword, uids[0])) if len(uids) == 1 else None
    except InvalidInputError:
        return None


def _own_uid(match: Match, keyword: str) -> str:
    # Some archives send the same UID twice, or an empty value beside it.
    uids = match.texts(keyword) or ()
    try:
        return str(Uid.parse(keyword, "\\".join(uids)))
    except InvalidInputError as error:
        raise MalformedMatchError(f"its {attribute_name(keyword)} {error.problem}") from None
