"""The retrieve service's tasks on the engine, and how a retrieve ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

import structlog
from sqlalchemy.orm import Session

from services.retrieve.commitment.commit_task import Committer
from services.retrieve.commitment.ledger import end_all
from services.retrieve.commitment.payloads import AWAIT_COMMIT, COMMIT
from services.retrieve.commitment.unproven import unproven_note
from services.retrieve.context import Facts, facts_of
from services.retrieve.ledger import outcomes
from services.retrieve.ledger.arrived import save_late
from services.retrieve.ledger.conditions import lock
from services.retrieve.ledger.expected import open_shares
from services.retrieve.planning.payloads import AWAIT, EXPECT, MOVE, PLAN, await_order, move_order, move_tasks
from services.retrieve.planning.response_outcome import reason_of
from services.retrieve.task.await_task import Waiter
from services.retrieve.task.move_task import Mover
from services.retrieve.task.name_instances_task import Expecter, give_up_naming
from services.retrieve.task.plan_task import plan
from services.retrieve.transfer.arrival_check import Verifier
from services.retrieve.transfer.c_move import Asker
from services.retrieve.transfer.node_capabilities import MannersOf, manners_of_node
from shared.clock import Clock
from shared.contract.messages import JobKind
from shared.contract.reasons import Reason, sentence
from shared.database.models import Retrieve, RetrieveTask
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.jobs.model import Claim, Ending, NewTask, Result
from shared.node_access.pool import LinkPool
from shared.settings import Settings

log = structlog.get_logger(__name__)


class _Worker(Protocol):
    def perform(self, facts: Facts, claim: Claim, cancellation: Cancellation) -> Result: ...


class RetrieveWork:
    """What the retrieve service does with its tasks (`JobService`)."""

    kind: JobKind = "retrieve"
    job_table = Retrieve
    task_table = RetrieveTask

    def __init__(
        self,
        settings: Settings,
        database: Database,
        links: LinkPool,
        report: Callable[[str], None],
        clock: Clock,
        *,
        manners_of: MannersOf | None = None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        asker = Asker(database, links, report, clock)
        if manners_of is None:
            manners_of = partial(manners_of_node, database)
        self._manners_of = manners_of
        self._expecter = Expecter(links, manners_of)
        verifier = Verifier(database, links, grace_s=settings.arrival_grace)
        mover = Mover(database, asker, verifier, manners_of, clock)
        waiter = Waiter(database, verifier, clock)
        self._committer = Committer(
            database,
            links.timeouts,
            clock,
            timeout_s=settings.commitment_timeout,
            grace_s=settings.arrival_grace,
        )
        self._workers: dict[str, _Worker] = {
            MOVE: mover,
            AWAIT: waiter,
            COMMIT: self._committer,
            AWAIT_COMMIT: self._committer,
        }

    def perform(self, claim: Claim, cancellation: Cancellation) -> Result:
        """Do the work of one task."""
        with self._database.read() as session:
            facts = facts_of(session, claim.job_id, self._settings)
        if claim.kind == PLAN:
            manners = self._manners_of(facts.remote_id)
            with self._database.read() as session:
                return plan(session, facts, claim, manners)
        if claim.kind == EXPECT:
            return self._expecter.perform(facts, claim, cancellation)
        try:
            return self._workers[claim.kind].perform(facts, claim, cancellation)
        except InterruptedWorkError as interruption:
            if str(interruption) == "cancelled":
                self._save_late(facts)
            raise

    def _save_late(self, facts: Facts) -> None:
        """Count what arrived before the job was cancelled; the task itself writes nothing any more."""
        with self._database.write() as session:
            lock(session, facts.job_id)
            save_late(session, facts, self._clock())

    def give_up(self, claim: Claim, error: PeerError) -> Result:
        """Say what it means that a task failed for good."""
        with self._database.read() as session:
            facts = facts_of(session, claim.job_id, self._settings)
            if claim.kind in (COMMIT, AWAIT_COMMIT):
                return self._committer.given_up(facts, claim, error)
            end_job = self._end_of_all(session, facts, claim, error)
        reason, detail = reason_of(error), str(error)

        def write(session: Session) -> Sequence[NewTask]:
            lock(session, claim.job_id)
            if end_job is not None:
                self._lose_the_rest(session, facts, reason, detail)
                return []
            if claim.kind == EXPECT:
                return give_up_naming(session, facts, claim)
            if claim.kind == MOVE:
                return self._give_up_moving(session, facts, claim, error)
            if claim.kind == AWAIT:
                order = await_order(claim.payload).order
                return move_tasks(open_shares(session, facts.job_id, order), order)
            # Planning asks nobody: it is our own fault, and what it did not plan is not asked for.
            self._lose_the_rest(session, facts, Reason.INTERNAL_ERROR, detail)
            return []

        return Result(write, state="failed", error=error.code, detail=detail, end_job=end_job)

    def _end_of_all(self, session: Session, facts: Facts, claim: Claim, error: PeerError) -> Ending | None:
        """Return the end of the whole retrieve where no other task can do better than this one."""
        silent = error.outcome is Outcome.TIMED_OUT and not outcomes.anything_since(
            session, facts, self._clock() - timedelta(seconds=claim.failing_for_s)
        )
        if not (error.patient or (error.associating and error.permanent) or silent):
            return None
        arrived = outcomes.counts_of(session, claim.job_id)["arrived"] > 0
        return Ending("incomplete" if arrived else "failed", reason_of(error).value, str(error))

    def _lose_the_rest(self, session: Session, facts: Facts, reason: Reason, detail: str) -> None:
        save_late(session, facts, self._clock())
        outcomes.lose_the_rest(session, facts.job_id, state="failed", reason=reason, detail=detail)

    def _give_up_moving(
        self, session: Session, facts: Facts, claim: Claim, error: PeerError
    ) -> Sequence[NewTask]:
        order = move_order(claim.payload)
        shares = open_shares(session, facts.job_id, order)
        simpler = None if error.permanent else order.simpler()
        if simpler is not None:
            return move_tasks((share.by_objects() for share in shares), simpler)
        outcomes.save_lost(
            session, facts.job_id, shares, state="failed", reason=reason_of(error), detail=str(error)
        )
        return []

    def drained(self, session: Session, job_id: str) -> Sequence[NewTask] | Ending:
        """End the retrieve as its ledger says; what arrived late counts."""
        facts = facts_of(session, job_id, self._settings)
        outcomes.lose_the_rest(session, job_id, state="missing", reason=Reason.NOT_ARRIVED, detail="")
        save_late(session, facts, self._clock())
        counts, note = outcomes.counts_of(session, job_id), unproven_note(session, facts)
        if counts["arrived"] >= counts["asked"]:
            return Ending("completed", detail=note)
        if counts["arrived"]:
            return Ending("incomplete", detail=note)
        code, detail = outcomes.main_loss(session, job_id)
        words = f"{sentence(Reason.NOTHING_ARRIVED)} {sentence(code)}"
        return Ending("failed", Reason.NOTHING_ARRIVED.value, f"{words} ({detail})" if detail else words)

    def counts(self, session: Session, job_id: str) -> dict[str, Any]:
        """Return the counts for events."""
        return dict(outcomes.counts_of(session, job_id))

    def before_announcing(self, session: Session, job_id: str) -> None:
        """Close what a job that was ended early leaves open."""
        facts = facts_of(session, job_id, self._settings)
        end_all(session, job_id, self._clock())
        if session.get_one(Retrieve, job_id).status == "cancelled":
            save_late(session, facts, self._clock())
            outcomes.lose_the_rest(session, job_id, state="missing", reason=Reason.CANCELLED, detail="")
