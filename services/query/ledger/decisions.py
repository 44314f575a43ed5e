"""Writes the outcomes of studies, many with one statement."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, func, insert, select, update
from sqlalchemy.orm import Session

from services.query.ledger.studies import UNDECIDED, add_counts, lock
from services.query.rules.model import Decided, Decision, Missing, Outcome, SeriesDecision, StudyDecision
from shared.contract.reasons import Reason
from shared.database.models import QueryObject, QuerySeries, QueryStudy
from shared.dicom.query.matches import SeriesMatch

#: Studies that are written with one statement.
_WRITTEN_AT_ONCE = 500


def save_outcomes(
    session: Session, job_id: str, task_id: int | None, outcomes: Sequence[Outcome]
) -> list[StudyDecision]:
    """Write outcomes of studies that nobody decided before; return the decisions that were written."""
    written: list[StudyDecision] = []
    if outcomes:
        lock(session, job_id)
    for start in range(0, len(outcomes), _WRITTEN_AT_ONCE):
        part = _still_open(session, job_id, outcomes[start : start + _WRITTEN_AT_ONCE])
        _write(session, job_id, task_id, part)
        written += [outcome.decision for outcome in part if isinstance(outcome, Decided)]
    return written


def _still_open(session: Session, job_id: str, outcomes: Sequence[Outcome]) -> list[Outcome]:
    by_uid = {outcome.study_instance_uid: outcome for outcome in outcomes}
    found = session.scalars(
        select(QueryStudy.study_instance_uid).where(
            QueryStudy.job_id == job_id,
            QueryStudy.study_instance_uid.in_(by_uid),
            QueryStudy.state.in_(UNDECIDED),
        )
    )
    return [by_uid[uid] for uid in found]


def _write(session: Session, job_id: str, task_id: int | None, outcomes: Sequence[Outcome]) -> None:
    decided = [outcome for outcome in outcomes if isinstance(outcome, Decided)]
    studies = [_study_row(job_id, task_id, outcome) for outcome in outcomes]
    series = [row for outcome in decided for row in _series_rows(job_id, outcome)]
    objects = [row for outcome in decided for row in _object_rows(job_id, outcome.decision)]
    if studies:
        session.execute(update(QueryStudy), studies)
    if series:
        session.execute(insert(QuerySeries), series)
    if objects:
        session.execute(insert(QueryObject), objects)
    add_counts(
        session,
        job_id,
        studies_examined=len(decided),
        studies_missing=len(outcomes) - len(decided),
        studies_kept=sum(outcome.decision.decision is Decision.KEEP for outcome in decided),
        objects_kept=sum(_kept(entry) for outcome in decided for entry in outcome.decision.series),
    )


def miss_undecided(session: Session, job_id: str, reason: Reason, detail: str) -> None:
    """Write that all undecided studies are missing: the query ends early."""
    which = and_(QueryStudy.job_id == job_id, QueryStudy.state.in_(UNDECIDED))
    rest = session.scalar(select(func.count()).where(which)) or 0
    values = {"state": "missing", "reason": reason.value, "detail": detail[:1000]}
    session.execute(update(QueryStudy).where(which).values(values))
    add_counts(session, job_id, studies_missing=rest)


def _study_row(job_id: str, task_id: int | None, outcome: Outcome) -> dict[str, object]:
    row: dict[str, object] = {
        "job_id": job_id,
        "study_instance_uid": outcome.study_instance_uid,
        "task_id": task_id,
    }
    if isinstance(outcome, Missing):
        return row | {
            "state": "missing",
            "type": None,
            "decision": "",
            "reason": outcome.reason.value,
            "note": "",
            "detail": outcome.detail[:1000],
        }
    decision = outcome.decision
    return row | {
        "state": "decided",
        "type": decision.type,
        "decision": decision.decision.value,
        "reason": decision.reason.value,
        "note": decision.note.value if decision.note else "",
        "detail": "",
    }


def _kept(series: SeriesDecision) -> int:
    if series.decision is not Decision.KEEP:
        return 0
    if series.whole:
        # Without a number there is at least one, as a retrieve counts it.
        return series.instance_count or 1
    return sum(entry.decision is Decision.KEEP for entry in series.objects)


def _series_rows(job_id: str, outcome: Decided) -> list[dict[str, object]]:
    matches = {match.series_instance_uid: match for match in outcome.series}
    key = {"job_id": job_id, "study_instance_uid": outcome.study_instance_uid}
    return [_series_row(key, entry, matches[entry.series_instance_uid]) for entry in outcome.decision.series]


def _series_row(key: dict[str, str], decision: SeriesDecision, match: SeriesMatch) -> dict[str, object]:
    return key | {
        "series_instance_uid": decision.series_instance_uid,
        "modality": decision.modality,
        "description": match.description,
        "station_name": match.station_name,
        "series_number": match.series_number,
        "instance_count": match.instance_count,
        "decision": decision.decision.value,
        "reason": decision.reason.value,
        "note": decision.note.value if decision.note else "",
        "whole": decision.whole,
    }


def _object_rows(job_id: str, decision: StudyDecision) -> list[dict[str, object]]:
    return [
        {
            "job_id": job_id,
            "study_instance_uid": decision.study_instance_uid,
            "series_instance_uid": series.series_instance_uid,
            "sop_instance_uid": entry.sop_instance_uid,
            "sop_class_uid": entry.sop_class_uid,
            "decision": entry.decision.value,
            "reason": entry.reason.value,
        }
        for series in decision.series
        for entry in series.objects
    ]
