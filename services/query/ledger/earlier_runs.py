"""Decisions of a schedule's earlier runs: they stand as long as neither the study nor what is known changed.

Runs of a schedule cover the same days again and again. A study that is as large as when an earlier query
decided it costs no request; one that has grown since, by a dose report that came late, is examined anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import and_, literal, or_, select
from sqlalchemy.orm import Session

from services.query.ledger.unchanged_studies import selects_alike
from services.query.rules.decide import RULES_VERSION
from services.query.rules.model import (
    Decided,
    Decision,
    KnownObjects,
    ObjectDecision,
    SeriesDecision,
    StudyDecision,
)
from shared.contract.criteria import Criteria
from shared.contract.reasons import Reason
from shared.database.models import (
    Query,
    QueryObject,
    QuerySeries,
    QueryStudy,
    Retrieve,
    RetrieveObject,
)
from shared.database.models.store import WHOLE
from shared.dicom.query.matches import SeriesMatch, StudyMatch


def repeated(
    session: Session,
    job_id: str,
    criteria: Criteria,
    studies: Sequence[StudyMatch],
    known: Mapping[str, KnownObjects],
) -> list[Decided]:
    """Return what was decided before on studies of a run that need no examination."""
    counted = {
        study.study_instance_uid: study for study in studies if study.series_count and study.instance_count
    }
    by_job: defaultdict[str, list[QueryStudy]] = defaultdict(list)
    for row in _latest(session, job_id, criteria, counted):
        by_job[row.job_id].append(row)
    return [
        decided
        for earlier_id, rows in by_job.items()
        for decided in _decided(session, earlier_id, rows)
        if not criteria.ignore_known
        or _stands(decided.decision, known.get(decided.study_instance_uid, KnownObjects()))
    ]


def arrived_before(
    session: Session, job_id: str, study_instance_uids: Sequence[str], *, headers_count: bool
) -> dict[str, dict[str, str]]:
    """Return what earlier runs of the same schedule brought: series by object, by study.

    A store node that is not DoseQR's own gives no receipts: what arrived there is known to its schedule.
    """
    query = session.get_one(Query, job_id)
    rows = session.execute(
        select(
            RetrieveObject.study_instance_uid,
            RetrieveObject.series_instance_uid,
            RetrieveObject.sop_instance_uid,
        )
        .select_from(QueryStudy)
        .join(Query, Query.id == QueryStudy.job_id)
        .join(Retrieve, Retrieve.query_id == Query.id)
        .join(
            RetrieveObject,
            and_(
                RetrieveObject.job_id == Retrieve.id,
                RetrieveObject.study_instance_uid == QueryStudy.study_instance_uid,
            ),
        )
        .where(
            QueryStudy.study_instance_uid.in_(study_instance_uids),
            Query.schedule_id == query.schedule_id,
            Query.store_id == query.store_id,
            RetrieveObject.state == "arrived",
            RetrieveObject.sop_instance_uid != "",
            or_(RetrieveObject.content == WHOLE, literal(headers_count)),
        )
    )
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for study, series, sop_instance_uid in rows:
        found[study][sop_instance_uid] = series
    return found


def _latest(
    session: Session, job_id: str, criteria: Criteria, studies: Mapping[str, StudyMatch]
) -> list[QueryStudy]:
    """Return the latest decision on each study, if it was the same study then, under the same criteria."""
    query = session.get_one(Query, job_id)
    rows = session.execute(
        select(QueryStudy, Query.criteria)
        .join(Query, Query.id == QueryStudy.job_id)
        .where(
            QueryStudy.study_instance_uid.in_(studies),
            QueryStudy.job_id != job_id,
            QueryStudy.state == "decided",
            QueryStudy.note != Reason.UNCHANGED_SINCE,
            Query.remote_id == query.remote_id,
            Query.rules_version == RULES_VERSION,
        )
        .order_by(Query.requested_at)
    )
    own = criteria.to_json()
    found: dict[str, QueryStudy] = {}
    for row, earlier_criteria in rows:
        if _is_same(row, studies[row.study_instance_uid]) and selects_alike(earlier_criteria, own):
            found[row.study_instance_uid] = row
        else:
            found.pop(row.study_instance_uid, None)
    return list(found.values())


def _is_same(row: QueryStudy, study: StudyMatch) -> bool:
    return (
        (row.series_count, row.instance_count) == (study.series_count, study.instance_count)
        and (row.description or None, row.station_name or None)
        == (study.description or None, study.station_name or None)
        and set(row.modalities or ()) == set(study.modalities or ())
    )


def _decided(session: Session, job_id: str, rows: Sequence[QueryStudy]) -> Iterator[Decided]:
    """Yield the decisions of an earlier query with their series and objects."""
    uids = [row.study_instance_uid for row in rows]
    objects: defaultdict[tuple[str, str], list[ObjectDecision]] = defaultdict(list)
    for entry in session.scalars(
        select(QueryObject).where(QueryObject.job_id == job_id, QueryObject.study_instance_uid.in_(uids))
    ):
        decision = ObjectDecision(
            entry.sop_instance_uid, entry.sop_class_uid, Decision(entry.decision), Reason(entry.reason)
        )
        objects[entry.study_instance_uid, entry.series_instance_uid].append(decision)
    series: defaultdict[str, list[QuerySeries]] = defaultdict(list)
    for found in session.scalars(
        select(QuerySeries).where(QuerySeries.job_id == job_id, QuerySeries.study_instance_uid.in_(uids))
    ):
        series[found.study_instance_uid].append(found)
    for row in rows:
        of_study = series[row.study_instance_uid]
        decisions = tuple(
            _series_decision(found, objects[row.study_instance_uid, found.series_instance_uid])
            for found in of_study
        )
        note = Reason(row.note) if row.note else None
        decision_of_study = StudyDecision(
            row.study_instance_uid, row.type, Decision(row.decision), Reason(row.reason), note, decisions
        )
        yield Decided(decision_of_study, [_match(found) for found in of_study])


def _series_decision(row: QuerySeries, objects: Sequence[ObjectDecision]) -> SeriesDecision:
    kept = row.instance_count if row.whole else None
    return SeriesDecision(
        row.series_instance_uid,
        row.modality,
        Decision(row.decision),
        Reason(row.reason),
        Reason(row.note) if row.note else None,
        row.whole,
        tuple(objects),
        kept,
    )


def _match(row: QuerySeries) -> SeriesMatch:
    return SeriesMatch(
        row.series_instance_uid,
        modality=row.modality,
        description=row.description,
        station_name=row.station_name,
        instance_count=row.instance_count,
        series_number=row.series_number,
    )


def _stands(decision: StudyDecision, known: KnownObjects) -> bool:
    """Return whether nothing that is kept has become known since, and nothing known was forgotten."""
    return all(
        not (entry.decision is Decision.KEEP and entry.whole and known.touches(entry.series_instance_uid))
        and all(
            known.has(item.sop_instance_uid) == (item.reason is Reason.KNOWN)
            for item in entry.objects
            if item.decision is Decision.KEEP or item.reason is Reason.KNOWN
        )
        for entry in decision.series
    )
