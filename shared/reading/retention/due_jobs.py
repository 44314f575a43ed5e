"""The queries, with their retrieves, that are old enough to go and that nothing needs any more."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, or_
from sqlalchemy.orm import aliased

from shared.contract.messages import ENDED
from shared.database.models import (
    Comparison,
    HandoverBatch,
    LongList,
    LongListPart,
    Query,
    Retrieve,
    ScheduleRun,
)

#: Marks of `queries.folding`.
BEGUN, KEPT = "begun", "kept"


def may_go(before: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for queries that ended before a moment, and all of whose retrieves did.

    What is not added up, not announced or not handed over stays; so does what an open run or list, or a
    comparison that is not as old, still needs, and the last run of each recurring query.
    """
    return (
        Query.folding != KEPT,
        Query.status.in_(ENDED),
        Query.ended_at < before,
        Query.announced_at.is_not(None),
        Query.tallied_round == Query.round,
        ~_has_young_retrieve(before),
        ~_waits_for_handover(),
        ~_is_needed_by_a_run(),
        ~_is_part_of_a_list(before),
        ~_is_compared(before),
    )


def _has_young_retrieve(before: datetime) -> ColumnElement[bool]:
    young = or_(
        Retrieve.status.not_in(ENDED),
        Retrieve.ended_at.is_(None),
        Retrieve.ended_at >= before,
        Retrieve.announced_at.is_(None),
    )
    return exists().where(Retrieve.query_id == Query.id, young)


def _waits_for_handover() -> ColumnElement[bool]:
    return exists().where(
        Retrieve.query_id == Query.id,
        HandoverBatch.job_id == Retrieve.id,
        HandoverBatch.state != "done",
    )


def _is_needed_by_a_run() -> ColumnElement[bool]:
    later = aliased(ScheduleRun)
    is_last = ~exists().where(later.schedule_id == ScheduleRun.schedule_id, later.due_at > ScheduleRun.due_at)
    return exists().where(ScheduleRun.job_id == Query.id, or_(ScheduleRun.ended_at.is_(None), is_last))


def _is_part_of_a_list(before: datetime) -> ColumnElement[bool]:
    young = or_(LongList.ended_at.is_(None), LongList.ended_at >= before)
    return exists().where(LongListPart.job_id == Query.id, LongList.id == LongListPart.list_id, young)


def _is_compared(before: datetime) -> ColumnElement[bool]:
    sides = or_(Comparison.left_query == Query.id, Comparison.right_query == Query.id)
    return exists().where(and_(sides, Comparison.requested_at >= before))
