"""From the identifier of a request to the entities that match it, as the behaviour has it; no I/O."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from simulator.archive.model import Archive, ArchiveMatch, Series, Study
from simulator.behaviour import Behaviour, ListTreatment
from simulator.query import attribute_match
from simulator.query.keys import ATTRIBUTES, LEVELS, UNIQUE_KEYS, belongs

_NOT_KEYS = frozenset(
    {"QueryRetrieveLevel", "SpecificCharacterSet", "RetrieveAETitle", "TimezoneOffsetFromUTC"}
)
_CODE_KEYS = ("ModalitiesInStudy", "Modality")

Test = Callable[[ArchiveMatch], bool]


class RefusedError(Exception):
    """The request gets a failure status and nothing else."""

    def __init__(self, status: int, comment: str) -> None:
        super().__init__(comment)
        self.status = status
        self.comment = comment


@dataclass(frozen=True, slots=True)
class Search:
    """A request identifier, taken apart: its level, its keys with a value, and all requested keywords."""

    level: str
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    keywords: tuple[str, ...] = ()

    def uids(self) -> frozenset[str]:
        """Return every UID that the request names."""
        return frozenset(uid for name, values in self.keys.items() if name.endswith("UID") for uid in values)

    def codes(self) -> frozenset[str]:
        """Return every modality code that the request names."""
        return frozenset(code for name in _CODE_KEYS for code in self.keys.get(name, ()))

    def witnessed(self, recorded: frozenset[str]) -> dict[str, tuple[str, ...]]:
        """Return the keys for the record: values only of those that hold no patient data."""
        return {name: values if name in recorded else ("…",) for name, values in self.keys.items()}


def parse(identifier: Dataset) -> Search:
    """Take an identifier apart.

    Raises:
        RefusedError: the level is missing or unknown (0xA900), or a value cannot be read (0xC000).
    """
    keys: dict[str, tuple[str, ...]] = {}
    keywords: list[str] = []
    level = ""
    for element in identifier:
        keyword = keyword_for_tag(element.tag) or f"{element.tag}"
        if keyword == "QueryRetrieveLevel":
            level = str(element.value or "").strip()
        if keyword in _NOT_KEYS or element.tag.is_private:
            continue
        keywords.append(keyword)
        values = () if element.VR == "SQ" else _values(element.value)
        if any(values):
            keys[keyword] = values
    if level not in LEVELS:
        raise RefusedError(0xA900, "Query/Retrieve Level is missing or unknown")
    return Search(level, keys, tuple(keywords))


def _values(value: object) -> tuple[str, ...]:
    if value is None or isinstance(value, bytes):
        return ()
    if isinstance(value, (MultiValue, list, tuple)):
        return tuple(str(item).strip() for item in value)
    return (str(value).strip(),)


def admit(query: Search, behaviour: Behaviour, *, relational: bool) -> Search | None:
    """Return the query as this PACS understands it, or None where it returns no match and success.

    Raises:
        RefusedError: this PACS refuses such a request.
    """
    if any(behaviour.names(behaviour.refused_keys, query.level, keyword) for keyword in query.keywords):
        raise RefusedError(behaviour.refusal_status, "A key is not supported at this level")
    if query.level == "STUDY" and not _study_modality_is_right(query, behaviour):
        return None
    if not _hierarchy_is_right(query, behaviour, relational=relational):
        return None
    if query.level == "STUDY" and _too_wide(query, behaviour):
        return None
    return _reduce_lists(query, behaviour)


def _study_modality_is_right(query: Search, behaviour: Behaviour) -> bool:
    if behaviour.study_modality_key == "refused" and "Modality" in query.keywords:
        raise RefusedError(behaviour.refusal_status, "Modality is not a key of the study level")
    return behaviour.study_modality_key != "needed" or "Modality" in query.keywords


def _hierarchy_is_right(query: Search, behaviour: Behaviour, *, relational: bool) -> bool:
    needed = [UNIQUE_KEYS[level] for level in LEVELS[1 : LEVELS.index(query.level)]]
    if all(key in query.keys for key in needed):
        return True
    treatment = behaviour.relational
    if treatment == "always" or (treatment == "negotiated" and relational):
        return True
    if treatment == "empty":
        return False
    raise RefusedError(behaviour.refusal_status, "The unique key of a higher level is missing")


def _too_wide(query: Search, behaviour: Behaviour) -> bool:
    if behaviour.widest_window_days is None or "StudyInstanceUID" in query.keys:
        return False
    first, last = attribute_match.date_window(query.keys.get("StudyDate", ("",))[0])
    return first is None or last is None or (last - first).days + 1 > behaviour.widest_window_days


def _reduce_lists(query: Search, behaviour: Behaviour) -> Search | None:
    keys = dict(query.keys)
    for keyword, values in query.keys.items():
        if len(values) <= 1:
            continue
        if keyword.endswith("InstanceUID"):
            treatment = behaviour.treatment_of_uid_lists(query.level)
            maximum = behaviour.uid_list_maximum
            if maximum is not None and len(values) > maximum:
                raise RefusedError(behaviour.refusal_status, "Too many UIDs in one key")
        elif keyword in _CODE_KEYS:
            treatment = behaviour.code_lists
        else:
            continue
        reduced = _reduced(values, treatment, behaviour)
        if reduced is None:
            return None
        keys[keyword] = reduced
    return Search(query.level, {name: values for name, values in keys.items() if values}, query.keywords)


def _reduced(
    values: tuple[str, ...], treatment: ListTreatment, behaviour: Behaviour
) -> tuple[str, ...] | None:
    if treatment == "refused":
        raise RefusedError(behaviour.refusal_status, "A list of values is not supported")
    if treatment == "empty":
        return None
    if treatment == "ignored":
        return ()
    return values[:1] if treatment == "first_only" else values


def find(query: Search, archive: Archive, behaviour: Behaviour) -> Iterator[ArchiveMatch]:
    """Yield the entities of the query's level that match, lazily."""
    tests = _tests(query, behaviour)
    matches = _entities(query, _candidates(query, archive, behaviour), behaviour, tests)
    if query.level == "PATIENT":
        return _once_each_patient(matches)
    return matches


def _tests(query: Search, behaviour: Behaviour) -> dict[str, list[Test]]:
    """Return the tests of a query by the level at which each can first be made."""
    tests: dict[str, list[Test]] = {level: [] for level in LEVELS}
    for keyword, values in query.keys.items():
        attribute = ATTRIBUTES.get(keyword)
        if (
            attribute is None
            or not belongs(attribute, query.level)
            or _is_ignored(keyword, query.level, behaviour)
        ):
            continue
        matcher = _matcher(keyword, attribute.vr, values, behaviour)
        if matcher is not None:
            level = query.level if keyword == "StationName" else attribute.level
            tests[level].append(_test(attribute.get, matcher))
    tests["STUDY"] = tests.pop("PATIENT") + tests["STUDY"]
    return tests


def _matcher(
    keyword: str, vr: str, values: tuple[str, ...], behaviour: Behaviour
) -> attribute_match.Matcher | None:
    matcher = attribute_match.match_key(vr, values)
    if matcher is None:
        return None
    if keyword == "StudyDate":
        return attribute_match.match_dates_oddly(matcher, values[0], behaviour.date_matching)
    if keyword == "ModalitiesInStudy":
        return attribute_match.match_codes_oddly(matcher, values, behaviour.code_matching)
    return matcher


def _is_ignored(keyword: str, level: str, behaviour: Behaviour) -> bool:
    if keyword == "ModalitiesInStudy" and behaviour.modalities_in_study in {"returned", "absent"}:
        return True
    return behaviour.names(behaviour.not_matched, level, keyword)


def _test(get: Callable[[ArchiveMatch], Sequence[str] | None], matcher: attribute_match.Matcher) -> Test:
    return lambda match: matcher(get(match) or ())


def _candidates(query: Search, archive: Archive, behaviour: Behaviour) -> Iterable[Study]:
    """Return the studies that can match, by the most selective index that the keys allow."""
    lookups: tuple[tuple[str, Callable[[str], Study | None]], ...] = (
        ("StudyInstanceUID", archive.study),
        ("SeriesInstanceUID", archive.study_of_series),
        ("SOPInstanceUID", archive.study_of_instance),
    )
    for keyword, lookup in lookups:
        uids = query.keys.get(keyword)
        if (
            uids
            and not _is_ignored(keyword, query.level, behaviour)
            and belongs(ATTRIBUTES[keyword], query.level)
        ):
            found = (lookup(uid) for uid in dict.fromkeys(uids))
            return list({study.study_instance_uid: study for study in found if study is not None}.values())
    if "StudyDate" in query.keys and not _is_ignored("StudyDate", query.level, behaviour):
        first, last = attribute_match.date_window(query.keys["StudyDate"][0])
        return _ordered(archive.studies(first, last), behaviour)
    return _ordered(archive.studies(), behaviour)


def _ordered(studies: Iterator[Study], behaviour: Behaviour) -> Iterable[Study]:
    return reversed(list(studies)) if behaviour.descending else studies


def _entities(
    query: Search, studies: Iterable[Study], behaviour: Behaviour, tests: dict[str, list[Test]]
) -> Iterator[ArchiveMatch]:
    for study in studies:
        match = ArchiveMatch(study)
        if not all(test(match) for test in tests["STUDY"]):
            continue
        if query.level in {"PATIENT", "STUDY"}:
            yield match
            continue
        for series in study.series:
            yield from _in_series(query, ArchiveMatch(study, series), behaviour, tests)


def _in_series(
    query: Search, match: ArchiveMatch, behaviour: Behaviour, tests: dict[str, list[Test]]
) -> Iterator[ArchiveMatch]:
    if match.uid in behaviour.hidden or not all(test(match) for test in tests["SERIES"]):
        return
    if query.level == "SERIES":
        yield match
        return
    series = match.series
    if series is None or _is_empty_at_image_level(series, behaviour):
        return
    for instance in series.instances:
        image = ArchiveMatch(match.study, series, instance)
        if image.uid not in behaviour.hidden and all(test(image) for test in tests["IMAGE"]):
            yield image


def _is_empty_at_image_level(series: Series, behaviour: Behaviour) -> bool:
    return bool({"*", series.modality} & behaviour.image_level_empty_for)


def _once_each_patient(matches: Iterable[ArchiveMatch]) -> Iterator[ArchiveMatch]:
    patients: set[str] = set()
    for match in matches:
        if match.study.patient_id not in patients:
            patients.add(match.study.patient_id)
            yield match
