"""The coverage of a node by station, read from the decisions of its queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, exists, literal_column, select
from sqlalchemy.orm import Session

from shared.clock import iso
from shared.contract.criteria import CODES
from shared.contract.reasons import Reason
from shared.database.models import Node, NodeStudy, StoredObject
from shared.database.models.store import HEADERS
from shared.dose.concepts import REPORT_CLASSES
from shared.errors import InvalidInputError
from shared.evidence.coverage import (
    WEEKS_DEFAULT,
    Source,
    StationCoverage,
    StationDay,
    StationKey,
    StationStudy,
    by_station,
    coverage,
    monday,
    source_of,
    unordered_days,
)
from shared.evidence.results import CoverageResult, SourceCounts, StationResult, StationStudyResult
from shared.evidence.study_tally import KNOWN_SOURCE
from shared.reading.evidence.stored_headers import StoredCounts, stored_counts
from shared.reading.evidence.studies import batches
from shared.reading.evidence.tallies import NodeNumbers, node_numbers, read_study

#: Days that are read at once, at most.
DAYS_MAX = 366
#: No archive is older.
_EARLIEST = date(1900, 1, 1)
#: As the index of headers says it.
_IS_HEADER = StoredObject.content == literal_column(f"'{HEADERS}'")
_ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"


@dataclass(frozen=True, slots=True)
class StudyDays:
    """Days, both inclusive."""

    first: date
    last: date


def parse_period(date_from: date | None, date_until: date | None, today: date) -> StudyDays:
    """Return the days that are meant: up to today, and thirteen weeks, unless given.

    Raises:
        InvalidInputError: they end before they begin, or are more than a year; names the field.
    """
    last = date_until or max(today, date_from or today)
    if last < _EARLIEST:
        raise InvalidInputError("until", f"must not lie before {_EARLIEST}")
    first = date_from or monday(last) - timedelta(weeks=WEEKS_DEFAULT - 1)
    if first > last:
        raise InvalidInputError("from", f"{first} is after until, {last}")
    if (last - first).days >= DAYS_MAX:
        raise InvalidInputError("from", f"at most {DAYS_MAX} days are shown at once")
    return StudyDays(first, last)


def coverage_json(
    session: Session, node: Node, types: Collection[str], period: StudyDays, last_studies: int, now: datetime
) -> CoverageResult:
    """Return the coverage of each station that had studies of these types."""
    numbers = node_numbers(session, node.id, period.first, period.last)
    undecided = sum(
        number
        for tally in numbers.days.values()
        for name, number in tally.undecided.items()
        if name in types or not name
    )
    stations = by_station(_settled(session, node.id, period, numbers, types))
    headers = _header_studies(session, node.id, period, numbers, types)
    orders = {
        (name, station, day): _order(session, node.id, (name, station, day), numbers)
        for name, station, day in unordered_days(stations, last_studies)
    }
    return {
        "node_id": node.id,
        "node": node.name,
        "date_from": period.first.isoformat(),
        "date_until": period.last.isoformat(),
        "at": iso(now),
        "not_settled": undecided,
        "stations": [
            _station_json(entry, _versions(numbers, entry), headers[entry.type, entry.station])
            for entry in coverage(stations, orders, last_studies)
        ],
    }


def _versions(numbers: NodeNumbers, entry: StationCoverage) -> list[str]:
    return sorted(
        version
        for type_name, station, version in numbers.versions
        if (type_name, station) == (entry.type, entry.station)
    )


@dataclass(frozen=True, slots=True)
class StationFilter:
    """Which studies; None: all."""

    station: str | None = None
    type: str | None = None
    source: str | None = None


def station_studies(
    session: Session, node: Node, period: StudyDays, wanted: StationFilter, limit: int | None = None
) -> tuple[list[StationStudyResult], int]:
    """Return the studies behind a number of the coverage, the newest first, and how many there are."""
    types = [wanted.type] if wanted.type else list(CODES)
    numbers = node_numbers(session, node.id, period.first, period.last)
    counted = Counter[StationKey]()
    for tally in numbers.days.values():
        counted.update(
            {
                key: number
                for key, number in tally.settled.items()
                if key[0] in types and wanted.station in (None, key[1])
            }
        )
    which: list[ColumnElement[bool]] = [
        NodeStudy.day.between(period.first, period.last),
        NodeStudy.type.in_(types),
    ]
    if wanted.station is not None:
        which.append(NodeStudy.station == wanted.station)
    if wanted.source is not None:
        which.append(NodeStudy.source.in_((wanted.source, KNOWN_SOURCE)))
    # What is known is counted under its own source; a list of it is read in full.
    known = any(source == KNOWN_SOURCE and number for (_, _, source), number in counted.items())
    found = [
        study
        for study in _studies(session, node.id, numbers, which, None if known else limit)
        if period.first <= study.day <= period.last
        and study.type in types
        and wanted.station in (None, study.station)
        and wanted.source in (None, study.source.value)
    ]
    found.sort(key=lambda study: (study.day, study.time, study.study_instance_uid), reverse=True)
    total = sum(number for (_, _, source), number in counted.items() if wanted.source in (None, source))
    listed = found[:limit]
    stored = stored_counts(session, [study.study_instance_uid for study in listed])
    studies = [_study_json(study, stored[study.study_instance_uid]) for study in listed]
    return studies, len(found) if known else total


def _header_studies(
    session: Session, node_id: int, period: StudyDays, numbers: NodeNumbers, types: Collection[str]
) -> Counter[tuple[str, str]]:
    """Return how many settled studies of each type and station have headers in the store."""
    row = NodeStudy
    as_header = exists().where(StoredObject.study_instance_uid == row.study_instance_uid, _IS_HEADER)
    rows = session.execute(
        select(row.study_instance_uid, row.type, row.station).where(
            row.remote_id == node_id,
            row.settled,
            row.day.between(period.first, period.last),
            row.type.in_(types),
            as_header,
        )
    )
    found = Counter((name or "", station) for uid, name, station in rows if uid not in numbers.changed)
    changed = {uid: tally.best for uid, tally in numbers.changed.items() if tally.best.settled}
    stored = stored_counts(session, list(changed))
    for uid, best in changed.items():
        within = best.day is not None and period.first <= best.day <= period.last
        if within and best.type is not None and best.type in types and stored[uid].headers:
            found[best.type, best.station] += 1
    return found


def _settled(
    session: Session, node_id: int, period: StudyDays, numbers: NodeNumbers, types: Collection[str]
) -> dict[date, Counter[StationKey]]:
    """Return the numbers of settled studies of these types, each with its source."""
    settled = {
        day: Counter({key: number for key, number in tally.settled.items() if number and key[0] in types})
        for day, tally in numbers.days.items()
    }
    if any(source == KNOWN_SOURCE for counts in settled.values() for _, _, source in counts):
        within = NodeStudy.day.between(period.first, period.last)
        for study in _studies(session, node_id, numbers, [within, NodeStudy.source == KNOWN_SOURCE]):
            known = (study.type, study.station, KNOWN_SOURCE)
            if study.reason == Reason.KNOWN and settled.get(study.day, Counter())[known] > 0:
                settled[study.day] += Counter({(study.type, study.station, study.source.value): 1})
                settled[study.day] -= Counter({known: 1})
    return settled


def _order(session: Session, node_id: int, of: StationDay, numbers: NodeNumbers) -> list[Source]:
    """Return the sources of the studies of a station, type and day, in their order."""
    type_name, station, day = of
    which = [NodeStudy.day == day, NodeStudy.type == type_name, NodeStudy.station == station]
    found = [
        study
        for study in _studies(session, node_id, numbers, which)
        if (study.type, study.station, study.day) == of
    ]
    return [study.source for study in sorted(found, key=lambda study: (study.time, study.study_instance_uid))]


def _studies(
    session: Session,
    node_id: int,
    numbers: NodeNumbers,
    which: Sequence[ColumnElement[bool]],
    limit: int | None = None,
) -> list[StationStudy]:
    """Return these settled studies, the newest up to a limit, and all of queries that are not added up."""
    rows = select(NodeStudy).where(NodeStudy.remote_id == node_id, NodeStudy.settled, *which)
    if limit is not None:
        newest = (NodeStudy.day, NodeStudy.study_time, NodeStudy.study_instance_uid)
        # Those that have changed since are replaced.
        rows = rows.order_by(*(column.desc() for column in newest)).limit(limit + len(numbers.changed))
    found = {row.study_instance_uid: read_study(row).best for row in session.scalars(rows)}
    found |= {uid: tally.best for uid, tally in numbers.changed.items()}
    known = _known_sources(session, [uid for uid, best in found.items() if best.source == KNOWN_SOURCE])
    return [
        StationStudy(
            uid,
            best.station,
            best.type,
            best.day,
            best.time,
            source_of(best.reason, known.get(uid)),
            best.job_id,
            best.accession_number,
            best.reason,
        )
        for uid, best in found.items()
        if best.settled and best.type is not None and best.day is not None
    ]


def _known_sources(session: Session, study_instance_uids: Sequence[str]) -> dict[str, Source]:
    """Return where the dose is of studies of which only what is stored already shows it."""
    found: dict[str, Source] = {}
    for uids in batches(study_instance_uids):
        rows = session.execute(
            select(StoredObject.study_instance_uid, StoredObject.sop_class_uid)
            .where(StoredObject.study_instance_uid.in_(uids))
            .distinct()
        )
        for uid, sop_class_uid in rows:
            if sop_class_uid == _ENHANCED_SR:
                found.setdefault(uid, Source.ENHANCED_SR)
            elif sop_class_uid in REPORT_CLASSES:
                found[uid] = Source.REPORT
    return found


def _counts(counts: Mapping[Source, int]) -> SourceCounts:
    return {
        "report": counts.get(Source.REPORT, 0),
        "enhanced_sr": counts.get(Source.ENHANCED_SR, 0),
        "unknown_sr": counts.get(Source.UNKNOWN_SR, 0),
        "images": counts.get(Source.IMAGES, 0),
        "none": counts.get(Source.NONE, 0),
    }


def _station_json(entry: StationCoverage, versions: Sequence[str], header_studies: int) -> StationResult:
    return {
        "station": entry.station,
        "type": entry.type,
        "first_day": entry.first_day.isoformat(),
        "last_day": entry.last_day.isoformat(),
        "software_versions": list(versions),
        "studies": sum(entry.counts.values()),
        "sources": _counts(entry.counts),
        "header_studies": header_studies,
        "alerts": [
            {"kind": alert.kind.value, "since": alert.since.isoformat(), "studies": alert.studies}
            for alert in entry.alerts
        ],
        "weeks": [
            {
                "week": week.monday.isoformat(),
                "studies": sum(week.counts.values()),
                "sources": _counts(week.counts),
            }
            for week in entry.weeks
        ],
    }


def _study_json(study: StationStudy, stored: StoredCounts) -> StationStudyResult:
    return {
        "study_instance_uid": study.study_instance_uid,
        "accession_number": study.accession_number,
        "day": study.day.isoformat(),
        "station": study.station,
        "type": study.type,
        "source": study.source.value,
        "reason": study.reason,
        "job_id": study.job_id,
        "stored_whole": stored.whole,
        "stored_headers": stored.headers,
    }
