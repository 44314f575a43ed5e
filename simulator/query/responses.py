"""Encodes C-FIND identifiers without a data set library, so that thousands are made in a second."""

from collections.abc import Callable, Collection, Sequence

from pydicom.datadict import dictionary_VR, tag_for_keyword

from simulator.archive.model import ArchiveMatch
from simulator.behaviour import Behaviour
from simulator.network.dimse_message import element
from simulator.query.keys import ATTRIBUTES, UNIQUE_KEYS, Getter, belongs
from simulator.query.search import Search

_CODECS = {"ISO_IR 6": "ascii", "ISO_IR 100": "latin-1", "ISO_IR 192": "utf-8"}
_CHARACTER_SET_TAG = 0x00080005
_LEVEL_TAG = 0x00080052
_RETRIEVE_AE_TITLE_TAG = 0x00080054
_STUDY_UID_TAG = 0x0020000D
_MODALITIES_TAG = 0x00080061
_COUNTS = frozenset(
    {"NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances"}
)
_TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
#: About as many characters as (0008,0061) is given by the fault `many_modalities`.
_MANY = 10_000

#: (0040,0275) with undefined length, and no item in it: no reader can get past it.
_ENDLESS_SEQUENCE = b"\x40\x00\x75\x02\xff\xff\xff\xffno item here"

#: Makes one element of a response; None where the attribute is absent.
_Maker = Callable[[ArchiveMatch], bytes | None]


def _part_of(values: Sequence[str], which: str) -> Sequence[str]:
    return {"first": values[:1], "last": values[-1:]}.get(which, values)


def _constant(encoded: bytes) -> _Maker:
    return lambda _match: encoded


def _misnamed(get: Getter, wrong: Collection[str]) -> Getter:
    """Return a getter of UIDs of which these come with another value."""
    if not wrong:
        return get

    def misname(match: ArchiveMatch) -> Sequence[str] | None:
        values = get(match)
        return [f"{values[0]}.9"] if values and values[0] in wrong else values

    return misname


class ResponseEncoder:
    """Encodes the matches of one request in its transfer syntax."""

    def __init__(self, query: Search, behaviour: Behaviour, ae_title: str, *, implicit_vr: bool) -> None:
        self._behaviour = behaviour
        self._implicit_vr = implicit_vr
        self._level = query.level
        self._codec = _CODECS[behaviour.character_set]
        makers: dict[int, _Maker] = {}
        for keyword in query.keywords:
            maker = self._maker(keyword)
            tag = tag_for_keyword(keyword)
            if maker is not None and tag is not None:
                makers[tag] = maker
        self._add_constants(makers, ae_title)
        self._makers = sorted(makers.items())

    def _add_constants(self, makers: dict[int, _Maker], ae_title: str) -> None:
        constants = (
            ("SpecificCharacterSet", _CHARACTER_SET_TAG, "CS", self._behaviour.character_set),
            ("QueryRetrieveLevel", _LEVEL_TAG, "CS", self._level),
            ("RetrieveAETitle", _RETRIEVE_AE_TITLE_TAG, "AE", ae_title),
        )
        for keyword, tag, vr, value in constants:
            if not self._behaviour.names(self._behaviour.not_returned, self._level, keyword):
                makers[tag] = _constant(self._element(tag, vr, value.encode("ascii")))

    def _element(self, tag: int, vr: str, value: bytes) -> bytes:
        return element(tag, vr, value, implicit_vr=self._implicit_vr)

    def _maker(self, keyword: str) -> _Maker | None:
        behaviour = self._behaviour
        if behaviour.names(behaviour.not_returned, self._level, keyword):
            return None
        attribute = ATTRIBUTES.get(keyword)
        if attribute is None or not belongs(attribute, self._level):
            return self._empty_maker(keyword)
        if keyword == "ModalitiesInStudy":
            return self._modalities_maker()
        tag, vr, get = attribute.tag, attribute.vr, attribute.get
        if behaviour.count_error and keyword in _COUNTS:
            get = self._miscounted(get)
        if keyword == "SeriesInstanceUID" and self._level == "IMAGE":
            get = _misnamed(get, behaviour.misnamed_series)
        if keyword == "StudyInstanceUID" and self._level == "SERIES":
            get = _misnamed(get, behaviour.misnamed_studies)

        def make(match: ArchiveMatch) -> bytes | None:
            values = get(match)
            return None if values is None else self._element(tag, vr, self._text(vr, values))

        return make

    def _miscounted(self, get: Getter) -> Getter:
        """Return a getter of a number that is wrong by `count_error`, never below 0."""
        only, error = self._behaviour.count_error_for, self._behaviour.count_error

        def wrong(match: ArchiveMatch) -> Sequence[str] | None:
            values = get(match)
            if not values or (only and match.study.study_instance_uid not in only):
                return values
            return (str(max(int(values[0]) + error, 0)),)

        return wrong

    def _empty_maker(self, keyword: str) -> _Maker | None:
        """Return a key that the PACS does not know as an empty element, as optional keys are returned."""
        tag = tag_for_keyword(keyword)
        if tag is None:
            return None
        return _constant(self._element(tag, dictionary_VR(tag).split(" ")[0], b""))

    def _modalities_maker(self) -> _Maker | None:
        behaviour = self._behaviour
        if behaviour.modalities_in_study in {"absent", "matched_not_returned"}:
            return None

        def make(match: ArchiveMatch) -> bytes:
            blank = match.study.study_instance_uid in behaviour.blank_modalities_for
            values = () if blank else _part_of(match.study.modalities_in_study, behaviour.modalities_returned)
            return self._element(_MODALITIES_TAG, "CS", self._text("CS", values))

        return make

    def _text(self, vr: str, values: Sequence[str]) -> bytes:
        return "\\".join(values).encode(self._codec if vr in _TEXT_VRS else "ascii", errors="replace")

    def encode(self, match: ArchiveMatch) -> bytes:
        """Return the identifier of one match."""
        made = (make(match) for _tag, make in self._makers)
        return b"".join(encoded for encoded in made if encoded is not None)

    def without_study_uid(self, match: ArchiveMatch) -> bytes:
        """Return the identifier of a match that lacks its Study Instance UID."""
        return self._without(match, _STUDY_UID_TAG)

    def without_uid(self, match: ArchiveMatch) -> bytes:
        """Return the identifier of a match that lacks the unique key of its level."""
        return self._without(match, ATTRIBUTES[UNIQUE_KEYS[self._level]].tag)

    def _without(self, match: ArchiveMatch, left_out: int) -> bytes:
        made = (make(match) for tag, make in self._makers if tag != left_out)
        return b"".join(encoded for encoded in made if encoded is not None)

    def with_many_modalities(self, match: ArchiveMatch) -> bytes:
        """Return an identifier whose (0008,0061) lists modality codes over about 10,000 characters."""
        own = match.study.modalities_in_study
        codes = [*own, *(f"X{number:04d}" for number in range(_MANY // 6))]
        makers = [(tag, make) for tag, make in self._makers if tag != _MODALITIES_TAG]
        made = [(tag, make(match)) for tag, make in makers]
        made.append((_MODALITIES_TAG, self._element(_MODALITIES_TAG, "CS", self._text("CS", codes))))
        return b"".join(
            encoded for _tag, encoded in sorted(made, key=lambda item: item[0]) if encoded is not None
        )

    def with_wrong_character_set(self, match: ArchiveMatch) -> bytes:
        """Return an identifier that declares ASCII and holds a description in another character set."""
        return self._in_character_set(match, b"ISO_IR 6")

    def with_unknown_character_set(self, match: ArchiveMatch) -> bytes:
        """Return an identifier whose character set no standard names, with a description in it."""
        return self._in_character_set(match, b"ISO_IR 999")

    def _in_character_set(self, match: ArchiveMatch, name: bytes) -> bytes:
        made: list[tuple[int, bytes | None]] = []
        for tag, make in self._makers:
            if tag == _CHARACTER_SET_TAG:
                made.append((tag, self._element(tag, "CS", name)))
            elif tag in {0x00081030, 0x0008103E}:
                made.append((tag, self._element(tag, "LO", b"Sch\xe4del \xff\xfe")))
            else:
                made.append((tag, make(match)))
        return b"".join(encoded for _tag, encoded in made if encoded is not None)

    def broken(self, match: ArchiveMatch) -> bytes:
        """Return an identifier that ends in a sequence of undefined length that never ends."""
        return self.encode(match) + _ENDLESS_SEQUENCE
