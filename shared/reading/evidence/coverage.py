"""The coverage of a node by station, read from the decisions of its queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from shared.clock import iso
from shared.contract.criteria import CODES
from shared.contract.reasons import Reason
from shared.database.models import Node, QuerySeries, ReportSummary, StoredObject
from shared.dose.concepts import REPORT_CLASSES
from shared.errors import InvalidInputError
from shared.evidence.coverage import (
    UNKNOWN_STATION,
    WEEKS_DEFAULT,
    Source,
    StationCoverage,
    StationStudy,
    coverage,
    monday,
    source_of,
)
from shared.evidence.results import CoverageResult, SourceCounts, StationResult, StationStudyResult
from shared.reading.evidence.studies import batches, best_decisions, of_days, parse_da, without_jit

#: Days that are read at once, at most.
DAYS_MAX = 366
#: No archive is older.
_EARLIEST = date(1900, 1, 1)
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
    studies, not_settled = _studies(session, node.id, types, period)
    versions = _software_versions(session, studies)
    return {
        "node_id": node.id,
        "node": node.name,
        "date_from": period.first.isoformat(),
        "date_until": period.last.isoformat(),
        "at": iso(now),
        "not_settled": not_settled,
        "stations": [
            _station_json(entry, versions.get((entry.station, entry.type), ()))
            for entry in coverage(studies, last_studies)
        ],
    }


@dataclass(frozen=True, slots=True)
class StationFilter:
    """Which studies; None: all."""

    station: str | None = None
    type: str | None = None
    source: str | None = None


def station_studies(
    session: Session, node: Node, period: StudyDays, wanted: StationFilter
) -> list[StationStudyResult]:
    """Return the studies behind a number of the coverage, the newest first."""
    types = [wanted.type] if wanted.type else list(CODES)
    studies, _ = _studies(session, node.id, types, period)
    found = [
        study
        for study in studies
        if wanted.station in (None, study.station) and wanted.source in (None, study.source.value)
    ]
    found.sort(key=lambda study: (study.day, study.time, study.study_instance_uid), reverse=True)
    return [_study_json(study) for study in found]


def _studies(
    session: Session, node_id: int, types: Collection[str], period: StudyDays
) -> tuple[list[StationStudy], int]:
    """Return the settled studies of these types, and how many others were found."""
    without_jit(session)
    best = best_decisions(*of_days(node_id, period.first, period.last))
    columns = (best.c.study_instance_uid, best.c.job_id, best.c.type, best.c.reason, best.c.day)
    others = (best.c.study_time, best.c.station_name, best.c.accession_number)
    rows = session.execute(
        select(*columns, *others).where(best.c.rank == 1, best.c.settled == 1, best.c.type.in_(types))
    ).all()
    open_ones = select(func.count()).select_from(best).where(best.c.rank == 1, best.c.settled == 0)
    not_settled = session.scalar(open_ones.where(or_(best.c.type.is_(None), best.c.type.in_(types)))) or 0
    stations = _stations(session, node_id, period)
    known = _known_sources(session, [row.study_instance_uid for row in rows if row.reason == Reason.KNOWN])
    studies = [
        StationStudy(
            row.study_instance_uid,
            stations.get(row.study_instance_uid) or (row.station_name or UNKNOWN_STATION).strip(),
            row.type,
            day,
            row.study_time or "",
            source_of(row.reason, known.get(row.study_instance_uid)),
            row.job_id,
            row.accession_number or "",
            row.reason,
        )
        for row in rows
        if (day := parse_da(row.day)) is not None
    ]
    return studies, not_settled


def _stations(session: Session, node_id: int, period: StudyDays) -> dict[str, str]:
    """Return the station of each study: the first by name of the series of the study's own type."""
    best = best_decisions(*of_days(node_id, period.first, period.last))
    rows = session.execute(
        select(best.c.study_instance_uid, func.min(QuerySeries.station_name))
        .join(
            QuerySeries,
            and_(
                QuerySeries.job_id == best.c.job_id,
                QuerySeries.study_instance_uid == best.c.study_instance_uid,
            ),
        )
        .where(best.c.rank == 1, _is_of_type(best.c.type), func.trim(QuerySeries.station_name) != "")
        .group_by(best.c.study_instance_uid)
    )
    return {uid: name.strip() for uid, name in rows}


def _is_of_type(study_type: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition for a series of the codes of its study's type."""
    return or_(*(and_(study_type == name, QuerySeries.modality.in_(codes)) for name, codes in CODES.items()))


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


def _software_versions(
    session: Session, studies: Iterable[StationStudy]
) -> Mapping[tuple[str, str], list[str]]:
    """Return the software versions that the dose reports of each station and type name."""
    by_uid = {
        study.study_instance_uid: (study.station, study.type)
        for study in studies
        if study.source is Source.REPORT and study.station != UNKNOWN_STATION
    }
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    versions = ReportSummary.summary["software_versions"].as_string()
    for uids in batches(sorted(by_uid)):
        rows = session.execute(
            select(StoredObject.study_instance_uid, versions)
            .join(ReportSummary, ReportSummary.sop_instance_uid == StoredObject.sop_instance_uid)
            .where(StoredObject.study_instance_uid.in_(uids), versions.is_not(None))
        )
        for uid, text in rows:
            found[by_uid[uid]].add(text)
    return {key: sorted(versions) for key, versions in found.items()}


def _counts(counts: Mapping[Source, int]) -> SourceCounts:
    return {
        "report": counts.get(Source.REPORT, 0),
        "enhanced_sr": counts.get(Source.ENHANCED_SR, 0),
        "unknown_sr": counts.get(Source.UNKNOWN_SR, 0),
        "images": counts.get(Source.IMAGES, 0),
        "none": counts.get(Source.NONE, 0),
    }


def _station_json(entry: StationCoverage, versions: Sequence[str]) -> StationResult:
    return {
        "station": entry.station,
        "type": entry.type,
        "first_day": entry.first_day.isoformat(),
        "last_day": entry.last_day.isoformat(),
        "software_versions": list(versions),
        "studies": sum(entry.counts.values()),
        "sources": _counts(entry.counts),
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


def _study_json(study: StationStudy) -> StationStudyResult:
    return {
        "study_instance_uid": study.study_instance_uid,
        "accession_number": study.accession_number,
        "day": study.day.isoformat(),
        "station": study.station,
        "type": study.type,
        "source": study.source.value,
        "reason": study.reason,
        "job_id": study.job_id,
    }
