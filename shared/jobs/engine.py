"""Runs the tasks of jobs: claims, works, ends, releases what follows, and publishes each end."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Generic

import structlog
from sqlalchemy.orm import Session

from shared.broker.port import Message
from shared.clock import Clock, utc_now
from shared.contract.messages import ENDED, RunTask
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, NotNowError, Outcome, PeerError, StoreError
from shared.errors import RetriableError
from shared.jobs.job_events import JobEvents
from shared.jobs.job_nodes import JobNodes
from shared.jobs.ledger import Ledger
from shared.jobs.model import Advance, Claim, Ending, JobService, JobT, Result
from shared.jobs.new_task import NewTask
from shared.jobs.retry import MAX_STARTS, Again, Policy, plan_retry
from shared.jobs.running_tasks import RunningTasks
from shared.messaging.codec import read_task
from shared.messaging.publisher import Publisher
from shared.node_access.reachability import Reachability
from shared.tracing.current import continuing, current_causation
from shared.tracing.spans import span
from shared.tracing.trace_context import Causation, command_causation

log = structlog.get_logger(__name__)

#: Limits of a node may change while work waits for its hours: the longest wait before they are read again.
REREAD_LIMITS_AFTER = timedelta(seconds=10)

#: How long a task waits whose node has its share of the threads.
POSTPONE = timedelta(seconds=1)

#: A job that ended like this has been counted to its last task; late results are left out. What comes in
#: after a cancellation was found, and stays visible.
_GIVEN_UP = ENDED - {"cancelled"}


class Engine(Generic[JobT]):
    """One service's jobs in this process; its handlers may run on any number of threads and processes."""

    def __init__(
        self,
        service: JobService[JobT],
        database: Database,
        publisher: Publisher,
        worker: str,
        policy: Policy,
        clock: Clock = utc_now,
        reachability: Reachability | None = None,
    ) -> None:
        """`reachability`: what it finds away gets no work."""
        self.service = service
        self.database = database
        self.ledger = Ledger(service.job_table, service.task_table)
        self.running_tasks = RunningTasks(self.ledger, database, clock)
        self.events = JobEvents(service, self.ledger, database, publisher, clock)
        self._publisher = publisher
        self._worker = worker
        self._policy = policy
        self.clock = clock
        self.nodes = JobNodes(reachability, self.ledger, database, self.events, policy, clock)
        #: Tokens of claims by task that this process abandoned, because the database was away.
        self._abandoned: dict[int, str] = {}

    def handle(self, message: Message, redelivered: bool) -> None:
        """Handle the message of one task.

        Raises:
            InvalidInputError: it is no such message.
            RetriableError: the broker or the database is away; handle it again.
        """
        task, causation = read_task(message)
        with continuing(causation):
            self.run(task, redelivered)

    def postpone(self, task: RunTask) -> None:
        """Let a task wait whose node has its share of this process's threads; another process may take it.

        Raises:
            RetriableError: the database is away.
        """
        with self.database.write() as session:
            self.ledger.take_back(session, [task.task_id], self.clock() + POSTPONE)

    def run(self, task: RunTask, redelivered: bool) -> None:
        """Claim one task, work on it, and advance its job.

        Raises:
            RetriableError: the broker or the database is away; run it again.
        """
        if not redelivered and self.nodes.waits(task):
            return
        with self.database.write() as session:
            claimed = self.ledger.claim(
                session,
                task.task_id,
                self._worker,
                self.clock(),
                redelivered=redelivered,
                abandoned_token=self._abandoned.get(task.task_id, ""),
            )
            if claimed is None:
                self.ledger.hold_back(session, task.job_id)
        self._abandoned.pop(task.task_id, None)
        if claimed is None or not self._work_or_abandon(*claimed):
            self.advance(task.job_id)

    def _work_or_abandon(self, claim: Claim, starts_before: int) -> bool:
        """Work on a task; return whether its end advanced the job as well."""
        try:
            return self._work(claim, starts_before)
        except RetriableError:
            # The next try need not wait until this claim's lease has ended.
            self._abandoned[claim.task_id] = claim.token
            raise

    def _work(self, claim: Claim, starts_before: int) -> bool:
        if starts_before >= MAX_STARTS:
            detail = f"{starts_before} workers ended in the middle of this task"
            error = PeerError(Outcome.ABORTED, detail, permanent=True)
            return self._end(claim, self.service.give_up(claim, error))
        with self.running_tasks.holding(claim) as cancellation:
            try:
                result = self._perform(claim, cancellation)
            except InterruptedWorkError as interruption:
                self._interrupted(claim, str(interruption))
            except NotNowError as wait:
                self._wait(claim, wait)
            except PeerError as error:
                # What a peer makes of being stopped is no failure of its own.
                if not cancellation.requested:
                    return self._failed(claim, error)
                self._interrupted(claim, cancellation.reason)
            else:
                self.nodes.note_contact(claim.job_id, reached=True)
                return self._end(claim, result)
        return False

    def _perform(self, claim: Claim, cancellation: Cancellation) -> Result:
        about: dict[str, str | int] = {
            "doseqr.job.id": claim.job_id,
            "doseqr.task.id": claim.task_id,
            "doseqr.task.failures": claim.failures,
        }
        with span(f"task {self.service.kind} {claim.kind}", about) as task:
            result = self.service.perform(claim, cancellation)
            task.set("doseqr.outcome", result.state)
            return result

    def _interrupted(self, claim: Claim, reason: str) -> None:
        now = self.clock()
        with self.database.write() as session:
            job = self.ledger.lock(session, claim.job_id)
            if job is None or job.status in ENDED:
                self.ledger.end(session, claim, "cancelled", "", "", now)
            else:
                # Paused or stopping; or the job was cancelled, and rerun before this.
                self.ledger.put_back(session, claim, due_at=job.held_since or now, now=now)
        log.info("task interrupted", job_id=claim.job_id, task_id=claim.task_id, reason=reason)

    def _wait(self, claim: Claim, wait: NotNowError) -> None:
        now = self.clock()
        due_at = max(now, min(wait.until, now + REREAD_LIMITS_AFTER))
        with self.database.write() as session:
            job = self.ledger.lock(session, claim.job_id)
            if job is None or job.status in ENDED:
                self.ledger.end(session, claim, "cancelled", "", "", now)
                return
            if job.held_since is not None:
                self.ledger.put_back(session, claim, due_at=job.held_since, now=now)
                return
            if not self.ledger.put_back(session, claim, due_at=due_at, now=now):
                return
            job.wait_for(wait.note)
            if wait.whole_node:
                self.ledger.postpone(session, claim.job_id, due_at)
        log.info("task waits", job_id=claim.job_id, task_id=claim.task_id, waits_for=wait.note)

    def _failed(self, claim: Claim, error: PeerError) -> bool:
        plan = plan_retry(
            self._policy,
            permanent=error.permanent,
            peer_away=error.peer_away,
            failures=claim.failures,
            failing_for_s=claim.failing_for_s,
            jitter=random.random(),  # noqa: S311 - spreads tries, guards nothing
        )
        if error.retry_at is not None and not isinstance(error, StoreError):
            self.nodes.note_contact(claim.job_id, reached=False)
        if isinstance(plan, Again) and error.retry_at is not None:
            plan = Again(max(0.0, (error.retry_at - self.clock()).total_seconds()))
        log.warning(
            "task failed",
            job_id=claim.job_id,
            task_id=claim.task_id,
            error=error.code,
            failures=claim.failures + 1,
            again_in_s=round(plan.after_s, 1) if isinstance(plan, Again) else None,
        )
        if isinstance(plan, Again):
            return self._try_again(claim, error, plan.after_s)
        return self._end(claim, self.service.give_up(claim, error))

    def _try_again(self, claim: Claim, error: PeerError, after_s: float) -> bool:
        """Put a task back, and advance its job in the same transaction; return whether that was done."""
        now = self.clock()
        due_at = now + timedelta(seconds=after_s)
        with self.database.write() as session:
            # First the job, then its tasks, as everywhere: in another order two could wait for each other.
            job = self.ledger.lock(session, claim.job_id)
            kept = self.ledger.put_back(
                session, claim, due_at=due_at, now=now, error=error.code, detail=str(error)
            )
            if job is None or not kept:
                return False
            if error.peer_away and job.status not in ENDED:
                if error.retry_at is not None:
                    self.ledger.postpone_failing(session, claim.job_id, due_at, now)
                failing_since = now - timedelta(seconds=claim.failing_for_s)
                gives_up_at = failing_since + timedelta(seconds=self._policy.patience_s)
                name = job.store_name if isinstance(error, StoreError) else job.remote_name
                job.wait_for(f"{name} — {error}", due_at, gives_up_at)
            advance = self._advance_locked(session, job, now)
        self._go_on_after(advance)
        return True

    def _end(self, claim: Claim, result: Result) -> bool:
        """End a task, and advance its job in the same transaction; return whether that was done."""
        now = self.clock()
        with self.database.write() as session:
            job = self.ledger.lock(session, claim.job_id)
            if job is None:
                return False
            state = result.state if job.status not in _GIVEN_UP else "cancelled"
            if not self.ledger.end(session, claim, state, result.error, result.detail, now):
                log.info("task lost to another worker", job_id=claim.job_id, task_id=claim.task_id)
                return False
            if job.status in _GIVEN_UP:
                return False
            follows = result.write(session)
            if job.status not in ENDED:
                self._go_on(session, job, result, follows, now)
            advance = self._advance_locked(session, job, now)
        if result.after is not None:
            result.after()
        self._go_on_after(advance)
        return True

    def _go_on(
        self, session: Session, job: JobT, result: Result, follows: Sequence[NewTask], now: datetime
    ) -> None:
        if not result.error:
            if job.next_try_at is not None:
                self.ledger.end_failing(session, job.id)
            job.wait_for(result.note)
        if result.end_job is not None:
            self.ledger.finish(session, job, result.end_job, now)
        else:
            self.ledger.add(session, job.id, follows, now)

    def advance(self, job_id: str) -> None:
        """Release what is due, publish progress, end the job when nothing is left.

        What it leaves of its node's share goes to other jobs immediately.

        Raises:
            RetriableError: the broker or the database is away.
        """
        self._go_on_after(self._advance(job_id))

    def _go_on_after(self, advance: Advance | None) -> None:
        self._publish(advance)
        for job_id in advance.others if advance is not None else ():
            self._publish(self._advance(job_id))

    def _advance(self, job_id: str) -> Advance | None:
        with self.database.write() as session:
            job = self.ledger.lock(session, job_id)
            return self._advance_locked(session, job, self.clock()) if job is not None else None

    def _publish(self, advance: Advance | None) -> None:
        if advance is None:
            return
        self._publish_tasks(advance.job_id, advance.released, advance.causation)
        if advance.ended:
            self.events.end(advance.job_id)
        elif advance.progress is not None:
            self.events.publish_progress(advance.progress)

    def _advance_locked(self, session: Session, job: JobT, now: datetime) -> Advance:
        is_held = job.held_since is not None
        released, others = self.ledger.release(session, job, now)
        if job.status == "queued" and not is_held:
            # Not before: what is read there would write the row, which is to be written once.
            job.status, job.started_at = "running", now
        goes_on = job.status in ENDED or is_held or bool(released)
        if not goes_on and not self.ledger.has_open_tasks(session, job.id):
            # The transaction may have changed its row by statements of its own.
            session.flush()
            session.refresh(job)
            self._drained(session, job, now)
            released, others = self.ledger.release(session, job, now)
        progress = self.events.progress_of_locked(session, job)
        return Advance(job.id, released, others, job.causation, job.status in ENDED, progress)

    def _drained(self, session: Session, job: JobT, now: datetime) -> None:
        follows = self.service.drained(session, job.id)
        if isinstance(follows, Ending):
            self.ledger.finish(session, job, follows, now)
        else:
            self.ledger.add(session, job.id, follows, now)
            session.flush()

    def _publish_tasks(self, job_id: str, task_ids: Sequence[int], causation: Causation) -> None:
        for number, task_id in enumerate(task_ids):
            task = RunTask(job_id=job_id, task_id=task_id)
            try:
                self._publisher.command(task, routing_key=f"task.{self.service.kind}", causation=causation)
            except RetriableError:
                with self.database.write() as session:
                    self.ledger.take_back(session, task_ids[number:], self.clock())
                raise

    def start_job(self, session: Session, job: JobT, tasks: Sequence[NewTask]) -> None:
        """Add a new job with its first tasks to the caller's transaction; `advance` it after the commit."""
        received = current_causation()
        # A job that no command begins, such as a run of a recurring query, begins a trace of its own.
        if received is not None and received.cause_id == job.id:
            job.join_trace(received)
        else:
            job.join_trace(command_causation(job.id, None))
        session.add(job)
        session.flush()
        self.ledger.add(session, job.id, tasks, self.clock())

    def sweep(self, *, queue_is_empty: bool) -> bool:
        """Recover what dead workers and lost messages left, and announce ends that nobody announced.

        Returns whether any job is open: without one, the next sweep can wait.

        Raises:
            RetriableError: the broker or the database is away.
        """
        now = self.clock()
        with self.database.write() as session:
            recovered = self.ledger.recover(session, now, queue_is_empty=queue_is_empty)
        if recovered:
            log.warning("tasks recovered", tasks=recovered)
        with self.database.read_outside() as session:
            jobs = self.ledger.jobs_with_work(session, now)
            unannounced = self.ledger.unannounced(session, now - timedelta(seconds=5))
            is_busy = self.ledger.has_open_jobs(session)
        for job_id in jobs:
            self.advance(job_id)
        for job_id in unannounced:
            self.events.end(job_id)
        return is_busy
