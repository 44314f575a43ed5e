"""What queries found of the studies of a node, read from their ledgers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from shared.contract.criteria import CODES
from shared.database.models import Query, QuerySeries, QueryStudy
from shared.evidence.coverage import UNKNOWN_STATION
from shared.evidence.study_tally import Finding, StudyTally, requested_types, tally_of
from shared.reading.evidence.studies import BY_STATION, FILTERED, batches, parse_da

#: The criteria that leave out series by their station.
_STATION_FILTERS = ("exclude_stations", "keep_stations")

#: The row of a study: job, UID, state, type, reason, modalities, date, time, station, accession number.
_COLUMNS = (
    QueryStudy.job_id,
    QueryStudy.study_instance_uid,
    QueryStudy.state,
    QueryStudy.type,
    QueryStudy.reason,
    QueryStudy.modalities,
    QueryStudy.study_date,
    QueryStudy.study_time,
    QueryStudy.station_name,
    QueryStudy.accession_number,
)


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study as one query found it."""

    study_instance_uid: str
    tally: StudyTally
    #: What the PACS returned as its date; it may be no date.
    day: date | None
    has_accession_number: bool


@dataclass(frozen=True, slots=True)
class _QueryTerms:
    """What the rows of a query's studies do not hold."""

    requested_at: datetime
    types: frozenset[str]
    filters_stations: bool


def found_studies(session: Session, *which: ColumnElement[bool]) -> Iterator[FoundStudy]:
    """Yield the studies of these rows of `QueryStudy`, each as the query of its row found it."""
    rows = session.execute(select(*_COLUMNS).where(*which)).all()
    terms = _terms_of(session, sorted({row.job_id for row in rows}))
    stations = _stations(session, which)
    filtered = [job_id for job_id, of_query in terms.items() if of_query.filters_stations]
    without_series = _without_series(session, filtered, which)
    for row in rows:
        of_query, key = terms[row.job_id], (row.job_id, row.study_instance_uid)
        settled = row.state == "decided" and row.reason not in FILTERED and key not in without_series
        day = parse_da(row.study_date)
        accession_number = row.accession_number or ""
        finding = Finding(
            row.job_id,
            of_query.requested_at,
            settled,
            row.type,
            row.reason,
            day,
            row.study_time or "",
            stations.get(key) or (row.station_name or UNKNOWN_STATION).strip(),
            accession_number,
        )
        tally = tally_of(finding, of_query.types, row.modalities)
        yield FoundStudy(row.study_instance_uid, tally, day, bool(accession_number.strip()))


def _terms_of(session: Session, job_ids: Sequence[str]) -> dict[str, _QueryTerms]:
    found = {}
    for some in batches(job_ids):
        rows = session.execute(select(Query.id, Query.requested_at, Query.criteria).where(Query.id.in_(some)))
        for job_id, requested_at, criteria in rows:
            filters = any(criteria.get(name) for name in _STATION_FILTERS)
            found[job_id] = _QueryTerms(requested_at, requested_types(criteria), filters)
    return found


def _of_studies(which: Collection[ColumnElement[bool]]) -> Select[str, str, str | None]:
    """Return a statement on the series of these studies, by job and study."""
    return (
        select(QueryStudy.job_id, QueryStudy.study_instance_uid, func.min(QuerySeries.station_name))
        .join(
            QuerySeries,
            and_(
                QuerySeries.job_id == QueryStudy.job_id,
                QuerySeries.study_instance_uid == QueryStudy.study_instance_uid,
            ),
        )
        .where(*which)
        .group_by(QueryStudy.job_id, QueryStudy.study_instance_uid)
    )


def _stations(session: Session, which: Collection[ColumnElement[bool]]) -> dict[tuple[str, str], str]:
    """Return the station of each study: the first by name of the series of the study's own type."""
    own = or_(
        *(and_(QueryStudy.type == name, QuerySeries.modality.in_(codes)) for name, codes in CODES.items())
    )
    statement = _of_studies(which).where(own, func.trim(QuerySeries.station_name) != "")
    return {(job_id, uid): str(name).strip() for job_id, uid, name in session.execute(statement)}


def _without_series(
    session: Session, job_ids: Sequence[str], which: Collection[ColumnElement[bool]]
) -> set[tuple[str, str]]:
    """Return the studies of which a filter of station names left out series."""
    found: set[tuple[str, str]] = set()
    for some in batches(job_ids):
        left_out = _of_studies(which).where(QueryStudy.job_id.in_(some), QuerySeries.reason.in_(BY_STATION))
        found.update((job_id, uid) for job_id, uid, _ in session.execute(left_out))
    return found


def tallies_of(studies: Iterable[FoundStudy]) -> dict[str, StudyTally]:
    """Return what all of these findings together say of each study."""
    found: dict[str, StudyTally] = {}
    for study in studies:
        known = found.get(study.study_instance_uid)
        found[study.study_instance_uid] = study.tally if known is None else known.merged(study.tally)
    return found
