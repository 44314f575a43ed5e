"""Matches of requests for many studies that wait until a study is examined; each is used once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.dicom.query.matches import ObjectMatch, SeriesMatch


@dataclass(slots=True)
class PrefetchedMatches:
    """The series of studies by UID, and the objects of series by the UIDs of study and series."""

    _series: dict[str, Sequence[SeriesMatch]] = field(default_factory=dict)
    _objects: dict[str, dict[str, Sequence[ObjectMatch]]] = field(default_factory=dict)

    def add_series(self, study_instance_uid: str, matches: Sequence[SeriesMatch]) -> None:
        """Keep the series of a study."""
        self._series[study_instance_uid] = matches

    def add_objects(
        self, study_instance_uid: str, series_instance_uid: str, matches: Sequence[ObjectMatch]
    ) -> None:
        """Keep the objects of a series."""
        self._objects.setdefault(study_instance_uid, {})[series_instance_uid] = matches

    def series_of(self, study_instance_uid: str) -> Sequence[SeriesMatch] | None:
        """Return the series of a study; None if they were not prefetched."""
        return self._series.get(study_instance_uid)

    def objects_of(self, study_instance_uid: str) -> Mapping[str, Sequence[ObjectMatch]]:
        """Return the objects of a study by series."""
        return self._objects.get(study_instance_uid, {})

    def take_series(self, study_instance_uid: str) -> Sequence[SeriesMatch] | None:
        """Return the series of a study once."""
        return self._series.pop(study_instance_uid, None)

    def take_objects(self, study_instance_uid: str, series_instance_uid: str) -> Sequence[ObjectMatch] | None:
        """Return the objects of a series once."""
        return self._objects.get(study_instance_uid, {}).pop(series_instance_uid, None)
