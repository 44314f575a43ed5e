"""The stored files that are old enough to go and that nothing needs any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import Session

from shared.database.models import (
    HandoverBatch,
    HandoverMark,
    HandoverObject,
    ReportSummary,
    Retrieve,
    RetrieveObject,
    StoredObject,
)
from shared.database.models.store import STORE
from shared.dose.concepts import REPORT_CLASSES

#: Objects become part of a batch some time after the moment that they carry.
_UNASSIGNED = timedelta(minutes=5)
_RUNS = ("queued", "running")


def old_enough(before: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for files that last came before a moment."""
    return (StoredObject.source == STORE, StoredObject.last_received_at < before)


def is_free(session: Session) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for files that no hand-over, no job that runs and no reader of reports needs."""
    return (~_waits_for_handover(session), ~_is_needed_by_a_job(), ~_is_unread())


def is_delivered() -> ColumnElement[bool]:
    """Return the condition for files that the importer has taken."""
    return exists().where(
        HandoverObject.sop_instance_uid == StoredObject.sop_instance_uid,
        HandoverBatch.id == HandoverObject.batch_id,
        HandoverBatch.state == "done",
    )


def _waits_for_handover(session: Session) -> ColumnElement[bool]:
    """Return the condition for files that are in a batch which was not taken, or still to be in one.

    What came while hand-over was switched off is handed over once it is switched on again, so it stays.
    """
    in_open_batch = exists().where(
        HandoverObject.sop_instance_uid == StoredObject.sop_instance_uid,
        HandoverBatch.id == HandoverObject.batch_id,
        HandoverBatch.state != "done",
    )
    mark = session.scalar(select(HandoverMark.received_until))
    if mark is None:
        return in_open_batch
    return or_(in_open_batch, StoredObject.last_received_at >= mark - _UNASSIGNED)


def _is_needed_by_a_job() -> ColumnElement[bool]:
    running = select(Retrieve.id).where(Retrieve.status.in_(_RUNS))
    return exists().where(
        RetrieveObject.job_id.in_(running),
        RetrieveObject.study_instance_uid == StoredObject.study_instance_uid,
    )


def _is_unread() -> ColumnElement[bool]:
    """Return the condition for dose reports of which nobody has read yet what they hold."""
    is_read = exists().where(ReportSummary.sop_instance_uid == StoredObject.sop_instance_uid)
    return StoredObject.sop_class_uid.in_(REPORT_CLASSES) & ~is_read
