"""The batches that wait for the importer: begun, taken, tried again later, or given up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from services.store.handover.model import Batch, BatchObject, HandoverError
from shared.database.models.handover import HandoverBatch, HandoverObject
from shared.database.session import Database

#: States from which a batch is tried; `running` is found after its process died.
_TO_TRY = ("waiting", "running")
#: Stands with a batch while it is tried, and afterwards if the process died.
INTERRUPTED = ("interrupted", "The service ended while the batch was handed over.")


def claim_next(database: Database, pauses: Sequence[float], now: datetime) -> Batch | None:
    """Begin the next try that is due; None if there is none.

    The try counts from here on, so that a batch that ends its service is given up some time, too.

    Raises:
        DatabaseAwayError: nothing was begun.
    """
    with database.write() as session:
        while (row := _due(session, now)) is not None:
            if row.attempts > len(pauses):
                _end(row, "failed", now)
                continue
            row.attempts += 1
            row.state, row.tried_at = "running", now
            row.reason, row.detail = INTERRUPTED
            row.due_at = now + _pause(pauses, row.attempts)
            return _batch(session, row)
    return None


def mark_taken(database: Database, batch: Batch, now: datetime) -> None:
    """Remember that the importer has taken it.

    Raises:
        DatabaseAwayError: nothing was remembered; it will be handed over once more.
    """
    with database.write() as session:
        row = session.get_one(HandoverBatch, batch.id)
        row.reason, row.detail = "", ""
        _end(row, "done", now)


def mark_refused(
    database: Database, batch: Batch, error: HandoverError, pauses: Sequence[float], now: datetime
) -> None:
    """Remember why a try failed, and when the next one is due; give it up after the last one.

    Raises:
        DatabaseAwayError: nothing was remembered.
    """
    with database.write() as session:
        row = session.get_one(HandoverBatch, batch.id)
        row.reason, row.detail = error.reason, str(error)
        if row.attempts > len(pauses):
            _end(row, "failed", now)
        else:
            row.state, row.due_at = "waiting", now + _pause(pauses, row.attempts)


def give_back(database: Database, batch: Batch, now: datetime) -> None:
    """Give a batch back of which the try was cut short; it does not count.

    Raises:
        DatabaseAwayError: nothing was remembered.
    """
    with database.write() as session:
        row = session.get_one(HandoverBatch, batch.id)
        row.attempts -= 1
        row.state, row.due_at = "waiting", now


def requeue_failed(database: Database, job_id: str, now: datetime) -> int:
    """Let batches that were given up be tried anew, those of one retrieve or (empty) all; returns how many.

    Raises:
        DatabaseAwayError: nothing was changed.
    """
    change = update(HandoverBatch).where(HandoverBatch.state == "failed")
    if job_id:
        change = change.where(HandoverBatch.job_id == job_id)
    with database.write() as session:
        values = {"state": "waiting", "attempts": 0, "due_at": now, "ended_at": None}
        return session.connection().execute(change.values(values)).rowcount


def _due(session: Session, now: datetime) -> HandoverBatch | None:
    wanted = select(HandoverBatch).where(HandoverBatch.state.in_(_TO_TRY), HandoverBatch.due_at <= now)
    return session.scalars(wanted.order_by(HandoverBatch.due_at, HandoverBatch.id).limit(1)).first()


def _end(row: HandoverBatch, state: str, now: datetime) -> None:
    row.state, row.ended_at = state, now


def _pause(pauses: Sequence[float], attempts: int) -> timedelta:
    """Return the pause after a try; what comes after the last one is that it is given up."""
    return timedelta(seconds=pauses[attempts - 1] if attempts <= len(pauses) else 0)


def _batch(session: Session, row: HandoverBatch) -> Batch:
    wanted = (
        select(HandoverObject)
        .where(HandoverObject.batch_id == row.id)
        .order_by(HandoverObject.study_instance_uid, HandoverObject.path)
    )
    objects = tuple(
        BatchObject(
            study_instance_uid=row.study_instance_uid,
            series_instance_uid=row.series_instance_uid,
            sop_instance_uid=row.sop_instance_uid,
            sop_class_uid=row.sop_class_uid,
            path=row.path,
            size_bytes=row.size_bytes,
            sha256=row.sha256,
            content=row.content,
        )
        for row in session.scalars(wanted)
    )
    return Batch(
        id=row.id,
        job_id=row.job_id,
        study_instance_uid=row.study_instance_uid,
        attempt=row.attempts,
        objects=objects,
    )
