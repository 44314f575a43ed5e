"""The retrieve service's tasks on the engine, and how a retrieve ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

import structlog
from sqlalchemy.orm import Session

from services.retrieve.commitment.commit_task import CommitTask
from services.retrieve.commitment.ledger import end_all
from services.retrieve.commitment.payloads import AWAIT_COMMIT, COMMIT
from services.retrieve.commitment.unproven import reported_only, unproven_note
from services.retrieve.context import RetrieveContext, context_of
from services.retrieve.ledger import outcomes
from services.retrieve.ledger.arrived import save_late
from services.retrieve.ledger.conditions import lock
from services.retrieve.ledger.expected import open_parts
from services.retrieve.planning.c_move_outcome import reason_of
from services.retrieve.planning.fruitless import FruitlessError
from services.retrieve.planning.payloads import AWAIT, EXPECT, MOVE, PLAN, await_order, move_order, move_tasks
from services.retrieve.task.await_task import AwaitTask
from services.retrieve.task.move_task import MoveTask
from services.retrieve.task.name_instances_task import NameInstancesTask, request_unlisted
from services.retrieve.task.plan_task import plan
from services.retrieve.transfer.arrival_check import ArrivalCheck
from services.retrieve.transfer.back_pressure import BackPressure
from services.retrieve.transfer.c_move import MoveScu
from services.retrieve.transfer.fruitless_requests import FruitlessRequests
from services.retrieve.transfer.move_holds import MoveHolds
from services.retrieve.transfer.object_spool import ObjectSpool
from services.retrieve.transfer.own_store import OwnStore
from services.retrieve.transfer.store_check import StoreCheck
from shared.clock import Clock
from shared.contract.json_types import JsonDocument, JsonObject
from shared.contract.messages import JobKind
from shared.contract.reasons import Reason, sentence
from shared.database.models import Retrieve, RetrieveTask
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.jobs.model import Claim, Ending, Result
from shared.jobs.new_task import NewTask
from shared.node_access.pool import AssociationPool
from shared.settings import Settings

log = structlog.get_logger(__name__)


class _Task(Protocol):
    def perform(self, context: RetrieveContext, claim: Claim, cancellation: Cancellation) -> Result: ...


class RetrieveJobService:
    """The retrieve service's side of the job engine (`JobService`)."""

    kind: JobKind = "retrieve"
    job_table = Retrieve
    task_table = RetrieveTask

    def __init__(
        self,
        settings: Settings,
        database: Database,
        pool: AssociationPool,
        report: Callable[[str], None],
        clock: Clock,
        own_store: OwnStore | None = None,
    ) -> None:
        self._own_store = own_store or OwnStore()
        self.back_pressure = BackPressure(self._own_store, database, clock, backlog=settings.handover_backlog)
        self._settings = settings
        self._database = database
        self._clock = clock
        spool = ObjectSpool(settings.data_dir, settings.store_reserve_bytes)
        holds = MoveHolds(
            self.back_pressure,
            StoreCheck(pool, self._own_store, clock),
            FruitlessRequests(database, self._own_store, clock, patience_s=settings.patience),
        )
        scu = MoveScu(database, pool, report, clock, spool)
        check = ArrivalCheck(database, pool, grace_s=settings.arrival_grace)
        self._commit_task = CommitTask(
            database,
            pool.timeouts,
            clock,
            timeout_s=settings.commitment_timeout,
            grace_s=settings.arrival_grace,
        )
        self._tasks: dict[str, _Task] = {
            EXPECT: NameInstancesTask(pool),
            MOVE: MoveTask(database, scu, check, report, self._own_store, holds, clock),
            AWAIT: AwaitTask(database, check, clock),
            COMMIT: self._commit_task,
            AWAIT_COMMIT: self._commit_task,
        }

    def perform(self, claim: Claim, cancellation: Cancellation) -> Result:
        """Do the work of one task."""
        with self._database.read() as session:
            context = context_of(session, claim.job_id, self._settings)
        if claim.kind == PLAN:
            with self._database.read() as session:
                return plan(session, context, claim)
        try:
            return self._tasks[claim.kind].perform(context, claim, cancellation)
        except InterruptedWorkError as interruption:
            if str(interruption) in ("cancelled", "paused"):
                self._save_late(context)
            raise

    def _save_late(self, context: RetrieveContext) -> None:
        """Count what arrived before the job was cancelled or paused; the task itself writes nothing more."""
        with self._database.write() as session:
            lock(session, context.job_id)
            save_late(session, context, self._clock())

    def give_up(self, claim: Claim, error: PeerError) -> Result:
        """Return what follows from a task that failed for good."""
        with self._database.read() as session:
            context = context_of(session, claim.job_id, self._settings)
            if claim.kind in (COMMIT, AWAIT_COMMIT):
                return self._commit_task.given_up(context, claim, error)
            end_job = self._end_of_all(session, context, claim, error)
        reason, detail = self._own_store.cause_of(context, reason_of(error), str(error))

        def write(session: Session) -> Sequence[NewTask]:
            lock(session, claim.job_id)
            if end_job is not None:
                self._lose_the_rest(session, context, reason, detail)
                return []
            if claim.kind == EXPECT:
                return request_unlisted(session, context, claim)
            if claim.kind == MOVE:
                return self._give_up_moving(session, context, claim, error)
            if claim.kind == AWAIT:
                order = await_order(claim.payload).order
                return move_tasks(open_parts(session, context.job_id, order), order)
            # Planning sends no request: it is our own fault, and what it did not plan is not requested.
            self._lose_the_rest(session, context, Reason.INTERNAL_ERROR, detail)
            return []

        return Result(write, state="failed", error=error.code, detail=detail, end_job=end_job)

    def _end_of_all(
        self, session: Session, context: RetrieveContext, claim: Claim, error: PeerError
    ) -> Ending | None:
        """Return the end of the whole retrieve where no other task can do better than this one."""
        silent = error.outcome is Outcome.TIMED_OUT and not outcomes.anything_since(
            session, context, self._clock() - timedelta(seconds=claim.failing_for_s)
        )
        is_fruitless = isinstance(error, FruitlessError)
        if not (error.peer_away or (error.associating and error.permanent) or silent or is_fruitless):
            return None
        reason, detail = self._own_store.cause_of(context, reason_of(error), str(error))
        if outcomes.counts_of(session, claim.job_id)["arrived"] > 0:
            return Ending("incomplete", reason.value, detail)
        return Ending("failed", Reason.NOTHING_ARRIVED.value if is_fruitless else reason.value, detail)

    def _lose_the_rest(self, session: Session, context: RetrieveContext, reason: Reason, detail: str) -> None:
        save_late(session, context, self._clock())
        outcomes.lose_the_rest(session, context.job_id, state="failed", reason=reason, detail=detail)

    def _give_up_moving(
        self, session: Session, context: RetrieveContext, claim: Claim, error: PeerError
    ) -> Sequence[NewTask]:
        order = move_order(claim.payload)
        parts = open_parts(session, context.job_id, order)
        simpler = None if error.permanent else order.simpler()
        if simpler is not None:
            return move_tasks((part.by_objects() for part in parts), simpler)
        reason, detail = self._own_store.cause_of(context, reason_of(error), str(error))
        outcomes.save_lost(session, context.job_id, parts, state="failed", reason=reason, detail=detail)
        return []

    def drained(self, session: Session, job_id: str) -> Sequence[NewTask] | Ending:
        """End the retrieve as its ledger stands; what arrived late counts."""
        context = context_of(session, job_id, self._settings)
        outcomes.lose_the_rest(session, job_id, state="missing", reason=Reason.NOT_ARRIVED, detail="")
        save_late(session, context, self._clock())
        counts, note = outcomes.counts_of(session, job_id), unproven_note(session, context)
        if counts["arrived"] >= counts["asked"]:
            return Ending("completed", detail=note)
        if counts["arrived"]:
            return Ending("incomplete", detail=note)
        if session.get_one(Retrieve, job_id).verification == "reported":
            return Ending("incomplete", detail=" ".join(filter(None, (reported_only(context), note))))
        code, detail = outcomes.main_loss(session, job_id)
        text = f"{sentence(Reason.NOTHING_ARRIVED)} {sentence(code)}"
        return Ending("failed", Reason.NOTHING_ARRIVED.value, f"{text} ({detail})" if detail else text)

    def counts(self, session: Session, job_id: str) -> JsonObject:
        """Return the counts for events."""
        return {**outcomes.counts_of(session, job_id)}

    def ending_fields(self, session: Session, job_id: str) -> JsonDocument:
        """Return how it is known what arrived."""
        retrieve = session.get_one(Retrieve, job_id, populate_existing=True)
        return {"verification": retrieve.verification}

    def before_announcing(self, session: Session, job_id: str) -> None:
        """Close what a job that was ended early leaves open."""
        context = context_of(session, job_id, self._settings)
        end_all(session, job_id, self._clock())
        if session.get_one(Retrieve, job_id).status == "cancelled":
            save_late(session, context, self._clock())
            outcomes.lose_the_rest(session, job_id, state="missing", reason=Reason.CANCELLED, detail="")
