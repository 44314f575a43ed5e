"""The numbers of the calendar and the coverage, counted anew from all ledgers by one statement each.

Slower than what is added up, and simpler: the two must be equal.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from shared.contract.criteria import CODES
from shared.contract.json_types import JsonDocument
from shared.contract.reasons import Reason
from shared.database.models import Query, QuerySeries, QueryStudy, ReportSummary, StoredObject
from shared.dose.concepts import REPORT_CLASSES
from shared.evidence.calendar import DayCounts
from shared.evidence.coverage import (
    NEW_DAYS,
    UNKNOWN_STATION,
    Alert,
    AlertKind,
    Source,
    StationCoverage,
    StationStudy,
    Week,
    monday,
    source_of,
)
from shared.reading.evidence.coverage import StudyDays
from shared.reading.evidence.studies import (
    batches,
    best_decisions,
    is_settled,
    of_days,
    parse_da,
    study_day,
    without_jit,
)

_ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"


def coverage_of(studies: Iterable[StationStudy], last_studies: int) -> list[StationCoverage]:
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


def day_counts(session: Session, node_id: int, first: date, last: date) -> dict[tuple[date, str], DayCounts]:
    """Return the numbers of settled and of open studies by day and type."""
    without_jit(session)
    best = best_decisions(*of_days(node_id, first, last))
    settled: Counter[tuple[date, str]] = Counter()
    by_day = (
        select(best.c.day, best.c.type, func.count())
        .where(best.c.rank == 1, best.c.settled == 1, best.c.type.is_not(None))
        .group_by(best.c.day, best.c.type)
    )
    for written, type_name, number in session.execute(by_day):
        day = parse_da(written)
        if day is not None:
            settled[day, type_name] += number
    unsettled = _unsettled(session, node_id, first, last)
    return {key: DayCounts(settled[key], unsettled[key]) for key in {*settled, *unsettled}}


def _unsettled(session: Session, node_id: int, first: date, last: date) -> Counter[tuple[date, str]]:
    """Return the numbers of studies that no query for a type has settled, by day and type."""
    rows = session.execute(
        select(QueryStudy.study_instance_uid, study_day(), QueryStudy.modalities, Query.criteria)
        .join(Query, Query.id == QueryStudy.job_id)
        .where(*of_days(node_id, first, last), ~is_settled())
    )
    open_types: defaultdict[tuple[str, date], set[str]] = defaultdict(set)
    for uid, written, modalities, criteria in rows:
        day = parse_da(written)
        if day is not None:
            open_types[uid, day] |= _possible_types(criteria, modalities)
    settled = _settled_types(session, node_id, {uid for uid, _ in open_types})
    found: Counter[tuple[date, str]] = Counter()
    for (uid, day), types in open_types.items():
        found.update((day, name) for name in types - settled[uid])
    return found


def _settled_types(session: Session, node_id: int, uids: Iterable[str]) -> defaultdict[str, set[str]]:
    """Return the types for which each of these studies is settled, by whichever query."""
    settled: defaultdict[str, set[str]] = defaultdict(set)
    for some in batches(sorted(uids)):
        rows = session.execute(
            select(QueryStudy.study_instance_uid, Query.criteria)
            .join(Query, Query.id == QueryStudy.job_id)
            .where(Query.remote_id == node_id, QueryStudy.study_instance_uid.in_(some), is_settled())
        )
        for uid, criteria in rows:
            settled[uid] |= requested_types(criteria)
    return settled


def requested_types(criteria: JsonDocument) -> set[str]:
    """Return the types of criteria in the ledger, SR for reports alone."""
    return {*criteria.get("types", ()), *(["SR"] if criteria.get("include_sr_only") else [])}


def _possible_types(criteria: JsonDocument, modalities: list[str] | None) -> set[str]:
    """Return the requested types of which the study may be, as far as the PACS returned its modalities."""
    requested = requested_types(criteria)
    if not modalities:
        return requested
    return {name for name in requested if not set(CODES[name]).isdisjoint(modalities)}


def settled_studies(
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


def software_versions(
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


def nameless_days(session: Session, node_id: int, first: date, last: date) -> set[date]:
    """Return the days on which studies were found, and none of them with an accession number."""
    numbers = func.max(func.coalesce(func.trim(QueryStudy.accession_number), ""))
    rows = session.execute(
        select(QueryStudy.study_date)
        .join(Query, Query.id == QueryStudy.job_id)
        .where(*of_days(node_id, first, last))
        .group_by(QueryStudy.study_date)
        .having(numbers == "")
    )
    return {day for (text,) in rows if (day := parse_da(text)) is not None}
