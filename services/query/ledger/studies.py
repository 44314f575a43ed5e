"""A query and its studies in the ledger, found or waiting for their examination; and the counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache

from sqlalchemy import ColumnElement, Update, and_, bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from services.query.rules.model import Decision, KnownObjects, merge_matches
from shared.database.models import Node, Query, QueryObject, QuerySeries, QueryStudy, StoredObject
from shared.database.models.store import WHOLE
from shared.database.upsert import insert_missing
from shared.dicom.query.matches import StudyMatch
from shared.jobs.new_task import NewTask
from shared.querying.payloads import STUDIES_AT_ONCE, examine_tasks, read_examination

UNDECIDED = ("found", "examining")
#: Both databases bound the parameters of a statement.
_STUDIES_OF_ONE_STATEMENT = 500
#: Made once: each task executes it.
_WITH_NODE = select(Query, Node).join(Node, Node.id == Query.remote_id).where(Query.id == bindparam("of_job"))


def add_counts(session: Session, job_id: str, **changes: int) -> None:
    """Add to the running counts of a query."""
    more = {name: change for name, change in changes.items() if change}
    if more:
        session.execute(
            _addition(tuple(more)), {"of_job": job_id} | {_more(name): more[name] for name in more}
        )


def _more(name: str) -> str:
    return f"more_{name}"


@cache
def _addition(names: tuple[str, ...]) -> Update:
    values = {name: getattr(Query, name) + bindparam(_more(name)) for name in names}
    counted = update(Query).where(Query.id == bindparam("of_job")).values(values)
    # Whoever reads counts in the same transaction reads the row anew.
    return counted.execution_options(synchronize_session=False)


def query_with_node(session: Session, job_id: str) -> tuple[Query, Node]:
    """Return a query and its node."""
    query, node = session.execute(_WITH_NODE, {"of_job": job_id}).one()
    return query, node


def lock(session: Session, job_id: str) -> None:
    """Lock the row of a query; always before rows of its studies, or two workers wait for each other."""
    session.execute(select(Query.id).where(Query.id == job_id).with_for_update())


def add_studies(
    session: Session, job_id: str, task_id: int, matches: Iterable[StudyMatch]
) -> list[StudyMatch]:
    """Add what a slice found; return the studies that are to be decided because of it.

    Those are studies that no slice found before, and decided ones about which the PACS now returns more.
    """
    merged: dict[str, StudyMatch] = {}
    for match in matches:
        uid = match.study_instance_uid
        merged[uid] = merge_matches(merged[uid], match) if uid in merged else match
    rows = [_study_row(job_id, task_id, match) for match in merged.values()]
    new = {row.study_instance_uid for row in insert_missing(session, QueryStudy, rows)}
    add_counts(session, job_id, studies_found=len(new))
    found = [match for uid, match in merged.items() if uid in new]
    return found + _update_known(session, job_id, [match for uid, match in merged.items() if uid not in new])


def _update_known(session: Session, job_id: str, matches: Sequence[StudyMatch]) -> list[StudyMatch]:
    """Add to known studies what the PACS returns now; return decided ones that have to be decided again."""
    reopened = []
    rows = _known(session, job_id, [match.study_instance_uid for match in matches])
    for match in matches:
        row = rows.get(match.study_instance_uid)
        if row is None:
            continue
        stored = stored_match(row)
        merged = merge_matches(stored, match)
        if _judged_by(merged) == _judged_by(merge_matches(stored, stored)):
            continue
        row.modalities = list(merged.modalities) if merged.modalities else None
        row.description, row.station_name = merged.description, merged.station_name
        row.series_count, row.instance_count = merged.series_count, merged.instance_count
        if row.state not in UNDECIDED:
            _reopen(session, row)
            reopened.append(merged)
    return reopened


def _judged_by(study: StudyMatch) -> StudyMatch:
    """Return the part of a match that decisions depend on."""
    return replace(study, study_date=None, study_time=None, accession_number=None)


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
    """Take a decision back: it rests on less than what the PACS has returned since."""
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
    number = func.coalesce(func.nullif(QuerySeries.instance_count, 0), 1)
    kept_series = select(func.coalesce(func.sum(number), 0)).where(
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


def stored_match(row: QueryStudy) -> StudyMatch:
    """Return the match that a row of the ledger holds."""
    return StudyMatch(
        study_instance_uid=row.study_instance_uid,
        modalities=tuple(row.modalities) if row.modalities else None,
        description=row.description,
        station_name=row.station_name,
        series_count=row.series_count,
        instance_count=row.instance_count,
        study_date=row.study_date,
        study_time=row.study_time,
        accession_number=row.accession_number,
    )


def _study_row(job_id: str, task_id: int, match: StudyMatch) -> dict[str, object]:
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


def full_examinations(session: Session, job_id: str) -> list[NewTask]:
    """Return examinations of studies that wait for one, as far as they fill one; the rest waits for more."""
    waiting = and_(QueryStudy.job_id == job_id, QueryStudy.state == "found")
    number = session.scalar(select(func.count()).where(waiting)) or 0
    full = number // STUDIES_AT_ONCE * STUDIES_AT_ONCE
    return _examinations(session, job_id, waiting, full)


def all_examinations(session: Session, job_id: str) -> list[NewTask]:
    """Return examinations of all studies that nobody has decided; only while no task of the job is open."""
    waiting = and_(QueryStudy.job_id == job_id, QueryStudy.state.in_(UNDECIDED))
    return _examinations(session, job_id, waiting, None)


def _examinations(
    session: Session, job_id: str, waiting: ColumnElement[bool], number: int | None
) -> list[NewTask]:
    if number == 0:
        return []
    column = QueryStudy.study_instance_uid
    # Studies of the same days lie together, for nodes that return the series of a window with one request.
    order = (QueryStudy.study_date, QueryStudy.study_time, column)
    uids = session.scalars(select(column).where(waiting).order_by(*order).limit(number)).all()
    tasks = examine_tasks(uids)
    for task in tasks:
        which = and_(
            QueryStudy.job_id == job_id, column.in_(read_examination(task.payload).study_instance_uids)
        )
        session.execute(update(QueryStudy).where(which).values(state="examining"))
    return tasks


def undecided(session: Session, job_id: str, study_instance_uids: Sequence[str]) -> list[StudyMatch]:
    """Return those of these studies that nobody has decided yet."""
    rows = session.scalars(
        select(QueryStudy)
        .where(
            QueryStudy.job_id == job_id,
            QueryStudy.study_instance_uid.in_(study_instance_uids),
            QueryStudy.state.in_(UNDECIDED),
        )
        .order_by(QueryStudy.study_instance_uid)
    )
    return [stored_match(row) for row in rows]


def has_undecided(session: Session, job_id: str) -> bool:
    """Return whether there are studies of a query that nobody has decided."""
    waiting = select(QueryStudy.study_instance_uid).where(
        QueryStudy.job_id == job_id, QueryStudy.state.in_(UNDECIDED)
    )
    return session.scalar(waiting.limit(1)) is not None


def study_days(session: Session, job_id: str, study_instance_uids: Sequence[str]) -> dict[str, str]:
    """Return the Study Date (DA) of these studies, as far as the PACS returned it."""
    rows = session.execute(
        select(QueryStudy.study_instance_uid, QueryStudy.study_date).where(
            QueryStudy.job_id == job_id,
            QueryStudy.study_instance_uid.in_(study_instance_uids),
            QueryStudy.study_date.is_not(None),
        )
    )
    return {uid: str(day) for uid, day in rows}


def known_objects(
    session: Session, study_instance_uids: Sequence[str], *, headers_count: bool
) -> dict[str, KnownObjects]:
    """Return the known objects of these studies; `headers_count`: those of which only the header is there."""
    found: dict[str, dict[str, str]] = {}
    columns = (
        StoredObject.study_instance_uid,
        StoredObject.sop_instance_uid,
        StoredObject.series_instance_uid,
    )
    which: list[ColumnElement[bool]] = [StoredObject.study_instance_uid.in_(study_instance_uids)]
    if not headers_count:
        which.append(StoredObject.content == WHOLE)
    for study, sop_instance_uid, series in session.execute(select(*columns).where(*which)):
        found.setdefault(study, {})[sop_instance_uid] = series
    return {study: KnownObjects(series_of) for study, series_of in found.items()}
