"""The tables of the query service: what slices found, what was decided, and the counts of a query."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from services.query.find_scu import FindRecord, record_rows
from services.query.rules.decide import (
    Decision,
    KnownObjects,
    StudyAnswer,
    merge_study_answers,
)
from shared.database.models import Query, QueryFind, QueryObject, QuerySeries, QueryStudy, StoredObject
from shared.database.upsert import insert_missing
from shared.dicom.query.matches import StudyMatch

UNDECIDED = ("found", "examining")
#: Both databases bound the parameters of a statement.
_STUDIES_OF_ONE_STATEMENT = 500


def add_counts(session: Session, job_id: str, **changes: int) -> None:
    """Add to the running counts of a query."""
    values = {name: getattr(Query, name) + change for name, change in changes.items() if change}
    if values:
        session.execute(update(Query).where(Query.id == job_id).values(values))


def lock(session: Session, job_id: str) -> None:
    """Lock the row of a query; always before rows of its studies, or two workers wait for each other."""
    session.execute(select(Query.id).where(Query.id == job_id).with_for_update())


def add_finds(session: Session, job_id: str, task_id: int, records: Sequence[FindRecord]) -> None:
    """Record C-FINDs."""
    if records:
        session.execute(insert(QueryFind), record_rows(records, job_id, task_id))
        add_counts(session, job_id, finds=len(records))


def add_studies(
    session: Session, job_id: str, task_id: int, matches: Iterable[StudyMatch]
) -> list[StudyAnswer]:
    """Add what a slice returned; return the studies that are to be looked at because of it.

    Those are studies that no slice returned before, and decided ones about which the PACS now says more.
    """
    answers: dict[str, StudyMatch] = {}
    for match in matches:
        uid = match.study_instance_uid
        answers[uid] = _merged(answers[uid], match) if uid in answers else match
    rows = [_study_row(job_id, task_id, match) for match in answers.values()]
    new = {row.study_instance_uid for row in insert_missing(session, QueryStudy, rows)}
    add_counts(session, job_id, studies_found=len(new))
    fresh = [answer_of(match) for uid, match in answers.items() if uid in new]
    return fresh + _say_more(session, job_id, [one for uid, one in answers.items() if uid not in new])


def _say_more(session: Session, job_id: str, matches: Sequence[StudyMatch]) -> list[StudyAnswer]:
    changed = []
    rows = _known(session, job_id, [match.study_instance_uid for match in matches])
    for match in matches:
        row = rows.get(match.study_instance_uid)
        if row is None:
            continue
        before = stored_answer(row)
        merged = merge_study_answers(before, answer_of(match))
        if merged == merge_study_answers(before, before):
            continue
        row.modalities = sorted(merged.modalities) if merged.modalities else None
        row.description, row.station_name = merged.description, merged.station_name
        row.series_count, row.instance_count = merged.series_count, merged.instance_count
        if row.state not in UNDECIDED:
            _reopen(session, row)
            changed.append(merged)
    return changed


def _known(session: Session, job_id: str, study_instance_uids: Sequence[str]) -> dict[str, QueryStudy]:
    """Return the rows of these studies, locked in the order of their UIDs."""
    known = {}
    for start in range(0, len(study_instance_uids), _STUDIES_OF_ONE_STATEMENT):
        uids = study_instance_uids[start : start + _STUDIES_OF_ONE_STATEMENT]
        which = select(QueryStudy).where(QueryStudy.job_id == job_id, QueryStudy.study_instance_uid.in_(uids))
        ordered = which.order_by(QueryStudy.study_instance_uid).with_for_update()
        for row in session.scalars(ordered.execution_options(populate_existing=True)):
            known[row.study_instance_uid] = row
    return known


def _reopen(session: Session, row: QueryStudy) -> None:
    """Take a decision back: it rested on less than what the PACS has said since."""
    which = (row.job_id, row.study_instance_uid)
    counted = _kept_objects_of(session, *which) if row.decision == Decision.KEEP else 0
    add_counts(
        session,
        row.job_id,
        studies_examined=-(row.state == "decided"),
        studies_missing=-(row.state == "missing"),
        studies_kept=-(row.decision == Decision.KEEP),
        objects_kept=-counted,
    )
    for table in (QueryObject, QuerySeries):
        session.execute(delete(table).where(table.job_id == which[0], table.study_instance_uid == which[1]))
    row.state, row.decision, row.reason, row.note, row.detail = "found", "", "", "", ""


def _kept_objects_of(session: Session, job_id: str, study_instance_uid: str) -> int:
    kept_series = select(func.coalesce(func.sum(QuerySeries.instance_count), 0)).where(
        QuerySeries.job_id == job_id,
        QuerySeries.study_instance_uid == study_instance_uid,
        QuerySeries.decision == Decision.KEEP,
        QuerySeries.whole,
    )
    kept_objects = select(func.count()).where(
        QueryObject.job_id == job_id,
        QueryObject.study_instance_uid == study_instance_uid,
        QueryObject.decision == Decision.KEEP,
    )
    return int(session.scalar(kept_series) or 0) + int(session.scalar(kept_objects) or 0)


def _merged(first: StudyMatch, second: StudyMatch) -> StudyMatch:
    merged = merge_study_answers(answer_of(first), answer_of(second))
    return StudyMatch(
        study_instance_uid=first.study_instance_uid,
        modalities=tuple(sorted(merged.modalities)) if merged.modalities else None,
        description=merged.description,
        station_name=merged.station_name,
        study_date=first.study_date or second.study_date,
        study_time=first.study_time or second.study_time,
        accession_number=first.accession_number or second.accession_number,
        series_count=merged.series_count,
        instance_count=merged.instance_count,
    )


def answer_of(match: StudyMatch) -> StudyAnswer:
    """Return what the rules need of a match."""
    return StudyAnswer(
        study_instance_uid=match.study_instance_uid,
        modalities=frozenset(match.modalities) if match.modalities else None,
        description=match.description,
        station_name=match.station_name,
        series_count=match.series_count,
        instance_count=match.instance_count,
    )


def stored_answer(row: QueryStudy) -> StudyAnswer:
    """Return what the rules need of a stored study."""
    return StudyAnswer(
        study_instance_uid=row.study_instance_uid,
        modalities=frozenset(row.modalities) if row.modalities else None,
        description=row.description,
        station_name=row.station_name,
        series_count=row.series_count,
        instance_count=row.instance_count,
    )


def _study_row(job_id: str, task_id: int, match: StudyMatch) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "study_instance_uid": match.study_instance_uid,
        "state": "found",
        "found_by": task_id,
        "decision": "",
        "reason": "",
        "note": "",
        "detail": "",
        "modalities": list(match.modalities) if match.modalities else None,
        "description": match.description,
        "station_name": match.station_name,
        "study_date": match.study_date,
        "study_time": match.study_time,
        "accession_number": match.accession_number,
        "series_count": match.series_count,
        "instance_count": match.instance_count,
    }


def known_objects(session: Session, study_instance_uids: Sequence[str]) -> dict[str, KnownObjects]:
    """Return the known objects of these studies."""
    found: dict[str, dict[str, str]] = {}
    columns = (
        StoredObject.study_instance_uid,
        StoredObject.sop_instance_uid,
        StoredObject.series_instance_uid,
    )
    which = StoredObject.study_instance_uid.in_(study_instance_uids)
    for study, sop_instance_uid, series in session.execute(select(*columns).where(which)):
        found.setdefault(study, {})[sop_instance_uid] = series
    return {study: KnownObjects(series_of) for study, series_of in found.items()}
