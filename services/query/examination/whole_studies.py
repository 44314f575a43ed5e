"""Small studies whose objects come with one search, which shows their series as well. Pure.

A study is taken from such a search only if it has as many series and objects as it announces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.dicom.query.matches import ObjectMatch, RelationalMatch, SeriesMatch, StudyMatch
from shared.querying.profile import Profile

#: Objects of a study up to which all of them are requested: a few more cost less than another request.
_MOST_OBJECTS = 20

#: Attributes of a series that decisions are made of, and the fields of a profile that say they are returned.
_ATTRIBUTES: Mapping[str, str] = {
    "modality": "",
    "description": "returns_series_descriptions",
    "station_name": "returns_station_names",
    "series_number": "",
}


@dataclass(frozen=True, slots=True)
class WholeStudy:
    """All series of a study, and all objects of each."""

    series: Sequence[SeriesMatch]
    objects: Mapping[str, Sequence[ObjectMatch]]


def is_small(study: StudyMatch) -> bool:
    """Return whether a study announces its size, and that it is small."""
    return bool(study.series_count) and 0 < (study.instance_count or 0) <= _MOST_OBJECTS


def lists_of(studies: Iterable[StudyMatch], length: int, most_objects: int) -> list[list[str]]:
    """Divide small studies into lists by their number and by their objects."""
    lists: list[list[str]] = [[]]
    objects = 0
    for study in studies:
        size = study.instance_count or 0
        if lists[-1] and (len(lists[-1]) >= length or objects + size > most_objects):
            lists.append([])
            objects = 0
        lists[-1].append(study.study_instance_uid)
        objects += size
    return lists


def complete_studies(
    studies: Iterable[StudyMatch], matches: Iterable[RelationalMatch]
) -> dict[str, WholeStudy]:
    """Return the studies of which all series and objects came, each series with its modality."""
    by_study: dict[str, list[RelationalMatch]] = {}
    for match in matches:
        by_study.setdefault(match.of_object.study_instance_uid or "", []).append(match)
    whole = {study: _whole(by_study.get(study.study_instance_uid, ())) for study in studies}
    return {study.study_instance_uid: found for study, found in whole.items() if _is_complete(study, found)}


def _whole(matches: Iterable[RelationalMatch]) -> WholeStudy:
    series: dict[str, SeriesMatch] = {}
    objects: dict[str, dict[str, ObjectMatch]] = {}
    for match in matches:
        uid = match.of_series.series_instance_uid
        series.setdefault(uid, match.of_series)
        objects.setdefault(uid, {}).setdefault(match.of_object.sop_instance_uid, match.of_object)
    return WholeStudy(
        [replace(entry, instance_count=len(objects[uid])) for uid, entry in series.items()],
        {uid: list(found.values()) for uid, found in objects.items()},
    )


def _is_complete(study: StudyMatch, whole: WholeStudy) -> bool:
    objects = {match.sop_instance_uid for matches in whole.objects.values() for match in matches}
    sizes = (len(whole.series), len(objects), sum(map(len, whole.objects.values())))
    announced = (study.series_count, study.instance_count, study.instance_count)
    return sizes == announced and all(entry.code() for entry in whole.series)


def show_the_same(
    whole: Mapping[str, WholeStudy], series: Mapping[str, Sequence[SeriesMatch]], profile: Profile
) -> bool | None:
    """Return whether the series of whole studies are as a search for series showed them; None: unknown.

    An attribute that no series has proves nothing, unless the node is known not to return it.
    """
    pairs = [
        (entry, shown)
        for uid, study in whole.items()
        for entry, shown in _paired(study.series, series.get(uid, ()))
    ]
    if any(getattr(entry, name) != getattr(shown, name) for entry, shown in pairs for name in _ATTRIBUTES):
        return False
    shown_at_all = (
        any(getattr(shown, name) is not None for _, shown in pairs)
        or (bool(field) and getattr(profile, field) is False)
        for name, field in _ATTRIBUTES.items()
    )
    return True if pairs and all(shown_at_all) else None


def _paired(
    first: Iterable[SeriesMatch], second: Iterable[SeriesMatch]
) -> Iterable[tuple[SeriesMatch, SeriesMatch]]:
    by_uid = {match.series_instance_uid: match for match in second}
    return [
        (match, by_uid[match.series_instance_uid]) for match in first if match.series_instance_uid in by_uid
    ]
