"""Filters: case-insensitive substrings; exclude wins over keep; what is not returned is not filtered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.contract.criteria import Criteria
from shared.contract.criteria_fields import fold
from shared.contract.reasons import Reason
from shared.dicom.query.dates import minute_of
from shared.dicom.query.matches import SeriesMatch, StudyMatch, returned


@dataclass(frozen=True, slots=True)
class Filtered:
    """The result of the filters: a reason to drop, or None; and what was not returned."""

    reason: Reason | None = None
    note: Reason | None = None


def filter_study(criteria: Criteria, study: StudyMatch) -> Filtered:
    """Filter a study by its description and, where the option requires it, by its station name."""
    description = _by_description(criteria, study.description)
    station = _by_station(criteria, study.station_name) if criteria.station_at_study_level else Filtered()
    note = description.note or station.note
    if description.note and station.note:
        note = Reason.DESCRIPTION_AND_STATION_NOT_RETURNED
    return Filtered(description.reason or station.reason, note or _note_on_hours(criteria, study))


def _note_on_hours(criteria: Criteria, study: StudyMatch) -> Reason | None:
    unknown = criteria.has_hours and minute_of(study.study_time) is None
    return Reason.TIME_NOT_RETURNED if unknown else None


def filter_series(criteria: Criteria, series: SeriesMatch) -> Filtered:
    """Filter a series by its station name, unless the option moves that filter to the study."""
    return Filtered() if criteria.station_at_study_level else _by_station(criteria, series.station_name)


def _by_description(criteria: Criteria, text: str | None) -> Filtered:
    exclude, keep = criteria.exclude_descriptions, criteria.keep_descriptions
    if (exclude or keep) and not returned(text):
        return Filtered(note=Reason.DESCRIPTION_NOT_RETURNED)
    if _holds(text, exclude):
        return Filtered(Reason.EXCLUDED_DESCRIPTION)
    return Filtered(Reason.NOT_IN_KEEP_DESCRIPTION if keep and not _holds(text, keep) else None)


def _by_station(criteria: Criteria, text: str | None) -> Filtered:
    exclude, keep = criteria.exclude_stations, criteria.keep_stations
    if (exclude or keep) and not returned(text):
        return Filtered(note=Reason.STATION_NOT_RETURNED)
    if _holds(text, exclude):
        return Filtered(Reason.EXCLUDED_STATION)
    return Filtered(Reason.NOT_IN_KEEP_STATION if keep and not _holds(text, keep) else None)


def _holds(text: str | None, terms: Iterable[str]) -> bool:
    folded = fold(text or "")
    return any(fold(term) in folded for term in terms)
