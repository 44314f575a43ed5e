"""The state of the hand-over to an importer, for pages and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.clock import iso
from shared.database.models.handover import HandoverBatch
from shared.database.models.store import STORE, StoredObject
from shared.dose.concepts import REPORT_CLASSES
from shared.errors import InvalidInputError, NotFoundError

#: States of batches that nobody has taken.
_NOT_TAKEN = ("open", "waiting", "running", "failed")
#: States of batches that the importer will be given; those that were given up wait for somebody instead.
_TO_HAND_OVER = ("waiting", "running")
#: Batches that are named one by one.
BATCHES_SHOWN = 100


class HandoverBatchJson(TypedDict):
    """A batch of objects for the importer."""

    batch: str
    job: str | None
    study_instance_uid: str | None
    status: str
    objects: int
    attempts: int
    created_at: str
    tried_at: str | None
    due_at: str | None
    ended_at: str | None
    reason: str
    detail: str


class HandoverCounts(TypedDict):
    """Objects by how far their hand-over is."""

    taken: int
    waiting: int
    failed: int


class HandoverJson(TypedDict):
    """How the hand-over of a retrieve stands, with the batches that nobody has taken."""

    status: str
    counts: HandoverCounts
    reason: str
    detail: str
    batches: list[HandoverBatchJson]


def handover_of(session: Session, job_id: str) -> HandoverJson | None:
    """Return how the hand-over of a retrieve stands; None if nothing of it was to be handed over.

    `status` is `failed` if something was given up, `done` if all was taken, otherwise `waiting`; `reason` and
    `detail` are those of the newest try that failed.
    """
    rows = session.execute(
        select(HandoverBatch.state, func.sum(HandoverBatch.objects))
        .where(HandoverBatch.job_id == job_id)
        .group_by(HandoverBatch.state)
    )
    objects = {state: int(number or 0) for state, number in rows}
    if not objects:
        return None
    batches = [batch_json(row) for row in _not_taken(session, job_id, BATCHES_SHOWN)]
    last = next((batch for batch in batches if batch["reason"]), None)
    waiting = sum(objects.get(state, 0) for state in ("open", "waiting", "running"))
    return {
        "status": "failed" if "failed" in objects else "waiting" if waiting else "done",
        "counts": {"taken": objects.get("done", 0), "waiting": waiting, "failed": objects.get("failed", 0)},
        "reason": last["reason"] if last else "",
        "detail": last["detail"] if last else "",
        "batches": batches,
    }


def batches_not_taken(session: Session, limit: int) -> list[HandoverBatchJson]:
    """Return the batches of all retrieves and studies that were not taken yet, the last tried first."""
    return [batch_json(row) for row in _not_taken(session, None, limit)]


def batch_json(row: HandoverBatch) -> HandoverBatchJson:
    """Return one batch."""
    return {
        "batch": row.id,
        "job": row.job_id or None,
        "study_instance_uid": row.study_instance_uid or None,
        "status": row.state,
        "objects": row.objects,
        "attempts": row.attempts,
        "created_at": iso(row.created_at),
        "tried_at": iso(row.tried_at),
        "due_at": iso(row.due_at) if row.state == "waiting" else None,
        "ended_at": iso(row.ended_at),
        "reason": row.reason,
        "detail": row.detail,
    }


def waiting_objects(session: Session) -> int:
    """Return how many objects wait for the importer."""
    waiting = select(func.coalesce(func.sum(HandoverBatch.objects), 0))
    return session.scalar(waiting.where(HandoverBatch.state.in_(_TO_HAND_OVER))) or 0


def _not_taken(session: Session, job_id: str | None, limit: int) -> Sequence[HandoverBatch]:
    wanted = select(HandoverBatch).where(HandoverBatch.state.in_(_NOT_TAKEN))
    if job_id is not None:
        wanted = wanted.where(HandoverBatch.job_id == job_id)
    newest = func.coalesce(HandoverBatch.tried_at, HandoverBatch.created_at).desc()
    return session.scalars(wanted.order_by(newest, HandoverBatch.id).limit(limit)).all()


class UnknownObjectError(InvalidInputError, NotFoundError):
    """No such object is stored here."""


def object_to_try(session: Session, sop_instance_uid: str | None) -> StoredObject:
    """Return the object with this UID; with none, the dose report that came last, or else the last object.

    Raises:
        UnknownObjectError: there is none.
    """
    stored = select(StoredObject).where(StoredObject.source == STORE)
    last = StoredObject.last_received_at.desc()
    if sop_instance_uid is not None:
        found = session.scalars(stored.where(StoredObject.sop_instance_uid == sop_instance_uid)).first()
    else:
        reports = stored.where(StoredObject.sop_class_uid.in_(REPORT_CLASSES))
        found = (
            session.scalars(reports.order_by(last).limit(1)).first()
            or session.scalars(stored.order_by(last).limit(1)).first()
        )
    if found is None:
        problem = "is not stored here" if sop_instance_uid else "is needed, and none is stored here yet"
        raise UnknownObjectError("object", f"{sop_instance_uid or 'an object'} {problem}")
    return found
