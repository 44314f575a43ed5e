"""Coverage by station: whose studies carry a dose report, week by week, and where that changed. Pure.

A station is the name that the PACS returns for the series of a study's own type; that of its reports names
a workstation as often as the scanner.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from shared.contract.reasons import Reason

#: Studies of which the PACS returns no station name.
UNKNOWN_STATION = ""
#: A station is new if its first study is not older, and others of the node are.
NEW_DAYS = 14
#: Weeks that are shown if no dates are given.
WEEKS_DEFAULT = 13


class Source(StrEnum):
    """Where the dose of a study is, in the order in which the page shows it."""

    REPORT = "report"
    ENHANCED_SR = "enhanced_sr"
    UNKNOWN_SR = "unknown_sr"
    IMAGES = "images"
    NONE = "none"


_SOURCES: Mapping[str, Source] = {
    Reason.RDSR: Source.REPORT,
    Reason.RRDSR: Source.REPORT,
    Reason.ESR: Source.ENHANCED_SR,
    Reason.UNKNOWN_SR: Source.UNKNOWN_SR,
    Reason.UNKNOWN_SR_OPTION_OFF: Source.UNKNOWN_SR,
    Reason.IMAGES_NO_REPORT: Source.IMAGES,
    Reason.IMAGES_BESIDE_REPORT: Source.IMAGES,
    Reason.PHILIPS_DOSE_INFO: Source.IMAGES,
    Reason.PHILIPS_MAYBE_DOSE_INFO: Source.IMAGES,
    Reason.TOSHIBA_SECONDARY_CAPTURE: Source.IMAGES,
    Reason.TOSHIBA_FIRST_IMAGE: Source.IMAGES,
    Reason.FIRST_IMAGE_PET: Source.IMAGES,
    Reason.FIRST_IMAGE_NM: Source.IMAGES,
}


def source_of(reason: str, known: Source | None = None) -> Source:
    """Return where the dose of a decided study is; `known` is that of the objects that were known before."""
    if reason == Reason.KNOWN:
        return known or Source.IMAGES
    return _SOURCES.get(reason, Source.NONE)


@dataclass(frozen=True, slots=True)
class StationStudy:
    """A settled study."""

    study_instance_uid: str
    station: str
    type: str
    day: date
    #: As the PACS returned it, to order the studies of a day.
    time: str
    source: Source
    job_id: str = ""
    accession_number: str = ""
    reason: str = ""


class AlertKind(StrEnum):
    """Why a station needs a look."""

    STOPPED = "stopped"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Alert:
    """A station that stopped to send reports, or is new, and since when."""

    kind: AlertKind
    since: date
    #: Studies since then.
    studies: int


@dataclass(frozen=True, slots=True)
class Week:
    """A week, by its Monday, with the number of studies by source."""

    monday: date
    counts: Mapping[Source, int]


@dataclass(frozen=True, slots=True)
class StationCoverage:
    """A station and type over all weeks that are shown."""

    station: str
    type: str
    first_day: date
    last_day: date
    counts: Mapping[Source, int]
    weeks: Sequence[Week]
    alerts: Sequence[Alert]


def coverage(studies: Iterable[StationStudy], last_studies: int) -> list[StationCoverage]:
    """Return the coverage of each station and type, those with an alert first.

    `last_studies` without a report in a row raise an alert where most studies before them had one.
    """
    groups: defaultdict[tuple[str, str], list[StationStudy]] = defaultdict(list)
    for study in studies:
        groups[study.station, study.type].append(study)
    every_day = [study.day for group in groups.values() for study in group]
    if not every_day:
        return []
    span = min(every_day), max(every_day)
    found = [_station(key, group, span, last_studies) for key, group in groups.items()]
    return sorted(found, key=lambda entry: (not entry.alerts, entry.station.casefold(), entry.type))


def monday(day: date) -> date:
    """Return the first day of a week (ISO 8601)."""
    return day - timedelta(days=day.weekday())


def _station(
    key: tuple[str, str], group: list[StationStudy], span: tuple[date, date], last_studies: int
) -> StationCoverage:
    station, type_name = key
    ordered = sorted(group, key=lambda study: (study.day, study.time, study.study_instance_uid))
    weeks: defaultdict[date, Counter[Source]] = defaultdict(Counter)
    for study in ordered:
        weeks[monday(study.day)][study.source] += 1
    alerts = [_stopped(ordered, last_studies), _new(station, ordered, span)]
    return StationCoverage(
        station,
        type_name,
        ordered[0].day,
        ordered[-1].day,
        Counter(study.source for study in ordered),
        [Week(day, weeks[day]) for day in sorted(weeks)],
        [alert for alert in alerts if alert is not None],
    )


def _stopped(ordered: Sequence[StationStudy], last_studies: int) -> Alert | None:
    """Return an alert if reports came with most studies, and with none of the last ones."""
    with_report = [number for number, study in enumerate(ordered) if study.source is Source.REPORT]
    if not with_report:
        return None
    before = with_report[-1] + 1
    since = ordered[before:]
    if len(since) < last_studies or len(with_report) * 2 <= before:
        return None
    return Alert(AlertKind.STOPPED, since[0].day, len(since))


def _new(station: str, ordered: Sequence[StationStudy], span: tuple[date, date]) -> Alert | None:
    """Return an alert if the first study is of the last days, and the node has older ones of others."""
    limit = span[1] - timedelta(days=NEW_DAYS)
    is_new = station != UNKNOWN_STATION and ordered[0].day > limit >= span[0]
    return Alert(AlertKind.NEW, ordered[0].day, len(ordered)) if is_new else None
