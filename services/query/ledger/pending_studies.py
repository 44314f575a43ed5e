"""Studies of a query that wait for their examination, and the tasks that examine them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session

from services.query.ledger.studies import UNDECIDED, stored_match
from shared.database.models import QueryStudy
from shared.dicom.query.matches import StudyMatch
from shared.jobs.new_task import NewTask
from shared.querying.payloads import STUDIES_AT_ONCE, examine_tasks, read_examination


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
