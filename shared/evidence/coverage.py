"""Coverage by station: whose studies carry a dose report, week by week, and where that changed. Pure.

A station is the name that the PACS returns for the series of a study's own type; that of its reports names
a workstation as often as the scanner.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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


#: Type, station and source.
StationKey = tuple[str, str, str]
#: Type, station and day.
StationDay = tuple[str, str, date]


@dataclass(slots=True)
class StationDays:
    """The studies of a station and type, by day and source."""

    station: str
    type: str
    days: dict[date, Counter[Source]] = field(default_factory=dict)

    @property
    def first_day(self) -> date:
        """The day of the first study."""
        return min(self.days)

    @property
    def last_day(self) -> date:
        """The day of the last study."""
        return max(self.days)

    def after(self, day: date) -> int:
        """Return the number of studies of all days after one."""
        return sum(counts.total() for other, counts in self.days.items() if other > day)

    def all(self) -> Counter[Source]:
        """Return all studies."""
        total: Counter[Source] = Counter()
        for counts in self.days.values():
            for source, number in counts.items():
                total[source] += number
        return total

    @property
    def last_report_day(self) -> date | None:
        """The last day with a report; None for none."""
        return max((day for day, counts in self.days.items() if counts[Source.REPORT]), default=None)


def by_station(days: Mapping[date, Mapping[StationKey, int]]) -> list[StationDays]:
    """Return the numbers of days by station and type."""
    found: dict[tuple[str, str], StationDays] = {}
    for day, numbers in days.items():
        for (type_name, station, source), number in numbers.items():
            if number:
                entry = found.setdefault((station, type_name), StationDays(station, type_name))
                entry.days.setdefault(day, Counter())[Source(source)] += number
    return list(found.values())


def unordered_days(stations: Iterable[StationDays], last_studies: int) -> list[StationDay]:
    """Return the days of which the order of the studies decides whether a station has stopped."""
    found: list[StationDay] = []
    for entry in stations:
        day = entry.last_report_day
        if day is None:
            continue
        without = entry.days[day].total() - entry.days[day][Source.REPORT]
        if without and without + entry.after(day) >= last_studies:
            found.append((entry.type, entry.station, day))
    return found


def coverage(
    stations: Sequence[StationDays], orders: Mapping[StationDay, Sequence[Source]], last_studies: int
) -> list[StationCoverage]:
    """Return the coverage of each station and type, those with an alert first.

    `last_studies` without a report in a row raise an alert where most studies before them had one. `orders`
    hold the sources of the studies of `unordered_days`, in the order of the studies.
    """
    if not stations:
        return []
    span = min(entry.first_day for entry in stations), max(entry.last_day for entry in stations)
    found = [_station(entry, orders, span, last_studies) for entry in stations]
    return sorted(found, key=lambda entry: (not entry.alerts, entry.station.casefold(), entry.type))


def monday(day: date) -> date:
    """Return the first day of a week (ISO 8601)."""
    return day - timedelta(days=day.weekday())


def _station(
    entry: StationDays,
    orders: Mapping[StationDay, Sequence[Source]],
    span: tuple[date, date],
    last_studies: int,
) -> StationCoverage:
    weeks: defaultdict[date, Counter[Source]] = defaultdict(Counter)
    for day, counts in entry.days.items():
        week = weeks[monday(day)]
        for source, number in counts.items():
            week[source] += number
    every = entry.all()
    alerts = [_stopped(entry, every, orders, last_studies), _new(entry, every, span)]
    return StationCoverage(
        entry.station,
        entry.type,
        entry.first_day,
        entry.last_day,
        every,
        [Week(day, weeks[day]) for day in sorted(weeks)],
        [alert for alert in alerts if alert is not None],
    )


def _stopped(
    entry: StationDays,
    every: Counter[Source],
    orders: Mapping[StationDay, Sequence[Source]],
    last_studies: int,
) -> Alert | None:
    """Return an alert if reports came with most studies, and with none of the last ones."""
    day = entry.last_report_day
    if day is None:
        return None
    order = orders.get((entry.type, entry.station, day), ())
    # Without an order, the studies of that day without a report do not matter.
    left = order[::-1].index(Source.REPORT) if Source.REPORT in order else 0
    since = left + entry.after(day)
    if since < last_studies or every[Source.REPORT] * 2 <= every.total() - since:
        return None
    first = day if left else min(other for other in entry.days if other > day)
    return Alert(AlertKind.STOPPED, first, since)


def _new(entry: StationDays, every: Counter[Source], span: tuple[date, date]) -> Alert | None:
    """Return an alert if the first study is of the last days, and the node has older ones of others."""
    limit = span[1] - timedelta(days=NEW_DAYS)
    is_new = entry.station != UNKNOWN_STATION and entry.first_day > limit >= span[0]
    return Alert(AlertKind.NEW, entry.first_day, every.total()) if is_new else None
