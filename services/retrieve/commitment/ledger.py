"""Statements on storage commitments: what was requested, what was reported, and how it ended."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from services.retrieve.ledger.conditions import execute, rows_of, weight_of_row
from services.retrieve.planning.moves import SeriesPart
from shared.contract.reasons import Reason
from shared.database.models import CommitmentReport, RetrieveCommitment, RetrieveObject
from shared.dicom.storage_commitment.messages import CommitmentResult, Reference

#: States of a request; a refused one may be tried again under another UID.
REQUESTED, REPORTED, REFUSED, NOT_REPORTED = "asked", "answered", "refused", "unanswered"

#: Reasons of one job that are shown.
REASONS_SHOWN = 3


def references_to(session: Session, job_id: str, parts: Iterable[SeriesPart]) -> list[Reference]:
    """Return the named objects of these parts whose SOP class is known."""
    row = RetrieveObject
    return [
        Reference(sop_class_uid, uid)
        for which in rows_of(job_id, parts)
        for sop_class_uid, uid in session.execute(
            select(row.sop_class_uid, row.sop_instance_uid).where(which)
        )
        if uid and sop_class_uid
    ]


def transactions_of(session: Session, task_id: int) -> list[str]:
    """Return the transactions of earlier tries of a task whose end is unknown."""
    which = (RetrieveCommitment.task_id == task_id, RetrieveCommitment.state == REQUESTED)
    return list(session.scalars(select(RetrieveCommitment.transaction_uid).where(*which)))


def report_on(session: Session, transaction_uids: Collection[str]) -> CommitmentResult | None:
    """Return the first report that our store has taken on any of these transactions."""
    which = CommitmentReport.transaction_uid.in_(transaction_uids)
    row = session.scalars(
        select(CommitmentReport).where(which).order_by(CommitmentReport.received_at).limit(1)
    ).first()
    if row is None:
        return None
    return CommitmentResult(row.transaction_uid, frozenset(row.committed), MappingProxyType(row.failed))


def reports_elsewhere(session: Session, job_id: str, before: datetime) -> bool:
    """Return whether the node did not report on the association of a request sent before then."""
    row = RetrieveCommitment
    silent = row.state.in_((REQUESTED, NOT_REPORTED)) & (row.asked_at < before)
    reported = exists().where(CommitmentReport.transaction_uid == row.transaction_uid)
    found = select(row.transaction_uid).where(row.job_id == job_id, silent | reported).limit(1)
    return session.scalar(found) is not None


def save_requested(
    session: Session, job_id: str, task_id: int, transaction_uid: str, objects: int, now: datetime
) -> None:
    """Write, before it is sent, a request to commit to this number of objects."""
    session.add(
        RetrieveCommitment(
            transaction_uid=transaction_uid, job_id=job_id, task_id=task_id, objects=objects, asked_at=now
        )
    )


def end(
    session: Session,
    transaction_uids: Sequence[str],
    state: str,
    now: datetime,
    *,
    committed: int = 0,
    failed: int = 0,
    detail: str = "",
) -> None:
    """Write how open transactions ended."""
    which = (
        RetrieveCommitment.transaction_uid.in_(transaction_uids),
        RetrieveCommitment.state == REQUESTED,
    )
    values = {"state": state, "ended_at": now, "committed": committed, "failed": failed}
    execute(session, update(RetrieveCommitment).where(*which).values(**values, detail=detail[:1000]))


def end_all(session: Session, job_id: str, now: datetime) -> None:
    """Write that no report is waited for any more, because the job has ended."""
    row = RetrieveCommitment
    open_transactions = select(row.transaction_uid).where(row.job_id == job_id, row.state == REQUESTED)
    end(session, list(session.scalars(open_transactions)), NOT_REPORTED, now)


def mark_committed(session: Session, job_id: str, parts: Iterable[SeriesPart], transaction_uid: str) -> None:
    """Write in which transaction the node committed to these objects."""
    for which in rows_of(job_id, parts):
        execute(session, update(RetrieveObject).where(which).values(committed_in=transaction_uid))


def mark_unproven(session: Session, job_id: str, parts: Iterable[SeriesPart], detail: str) -> None:
    """Write beside objects that are reported to have arrived why the node does not confirm it."""
    values = {"reason": Reason.NOT_CONFIRMED.value, "detail": detail[:1000]}
    for which in rows_of(job_id, parts):
        arrived = RetrieveObject.state == "arrived"
        execute(session, update(RetrieveObject).where(which, arrived).values(**values))


def unproven(session: Session, job_id: str) -> list[tuple[int, str]]:
    """Return how many objects the node did not confirm, and why, the most first."""
    row, number = RetrieveObject, func.sum(weight_of_row())
    which = (row.job_id == job_id, row.state == "arrived", row.reason == Reason.NOT_CONFIRMED.value)
    statement = select(number, row.detail).where(*which).group_by(row.detail)
    ordered = statement.order_by(number.desc(), row.detail).limit(REASONS_SHOWN)
    return [(int(objects), detail) for objects, detail in session.execute(ordered)]
