"""The tables of jobs and tasks, for any service: claims, leases, release of pending tasks, ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Generic

from sqlalchemy import (
    Boolean,
    CursorResult,
    Integer,
    Select,
    Update,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from shared.contract.envelope import new_id
from shared.contract.json_types import JsonDocument
from shared.contract.messages import ENDED
from shared.database.models import JobRow, TaskRow
from shared.dicom.errors import PeerError
from shared.jobs.model import Claim, Ending, JobT, RerunRequest
from shared.jobs.new_task import NewTask
from shared.jobs.shares.node_load import OPEN, RUNS, Standings, is_held, nodes_of

#: A worker whose lease was not renewed for this long is dead.
LEASE = timedelta(seconds=30)

#: A task that stays queued for longer than this without a claim has lost its message.
QUEUED_AT_MOST = timedelta(seconds=60)

#: Postponements of a job that are closer together than this are one.
MOVED_TOGETHER = timedelta(seconds=1)

#: Nothing reads rows of tasks from the session after these changed them: it need not be told.
_UNREAD = {"synchronize_session": False}


def _claim_of(
    job: type[JobRow], task: type[TaskRow]
) -> ReturningUpdate[str, str, JsonDocument, int, datetime | None, int]:
    now = bindparam("now", type_=task.lease_until.type)
    abandoned = or_(
        task.lease_until < now,
        bindparam("is_redelivered", type_=Boolean),
        # Equal to nothing where it is None.
        task.claim_token == bindparam("left_token"),
    )
    free = or_(task.state.in_(("pending", "queued")), and_(task.state == "running", abandoned))
    runs = task.job_id.in_(select(job.id).where(job.status.in_(RUNS), ~is_held(job)))
    return (
        update(task)
        .where(task.id == bindparam("of_task"), free, runs)
        .values(
            state="running",
            worker=bindparam("of_worker"),
            claim_token=bindparam("new_token"),
            lease_until=bindparam("leased_until", type_=task.lease_until.type),
            started_at=now,
            starts=task.starts + 1,
        )
        .returning(task.job_id, task.kind, task.payload, task.failures, task.failing_since, task.starts)
        .execution_options(**_UNREAD)
    )


def _end_of(task: type[TaskRow]) -> Update:
    held = and_(task.claim_token == bindparam("of_token"), task.state == "running")
    return (
        update(task)
        .where(task.id == bindparam("of_task"), held)
        .values(
            state=bindparam("to_state"),
            ended_at=bindparam("now", type_=task.ended_at.type),
            error=bindparam("with_error"),
            detail=bindparam("with_detail"),
            starts=0,
            lease_until=None,
        )
        .execution_options(**_UNREAD)
    )


def _due_of(task: type[TaskRow]) -> Select[int]:
    now = bindparam("now", type_=task.due_at.type)
    return (
        select(task.id)
        .where(task.job_id == bindparam("of_job"), task.state == "pending", task.due_at <= now)
        .order_by(task.due_at, task.id)
        .limit(bindparam("number", type_=Integer))
    )


def _recovery_of(task: type[TaskRow]) -> Update:
    now = bindparam("now", type_=task.due_at.type)
    dead = and_(task.state == "running", task.lease_until < now)
    # Before nothing where it is None.
    lost = and_(task.state == "queued", task.queued_at < bindparam("lost_before", type_=task.queued_at.type))
    # It was due when it was queued, and stays so: a later time would count as one that a pause moves on.
    return update(task).where(or_(dead, lost)).values(state="pending").execution_options(**_UNREAD)


class Ledger(Generic[JobT]):
    """Reads and writes jobs and tasks; each method runs within the caller's transaction."""

    def __init__(self, job: type[JobT], task: type[TaskRow]) -> None:
        self.job = job
        self.task = task
        self._standings = Standings(job, task)
        # Made once: each task executes them, and to make a statement takes longer than to execute it.
        self._locked = select(job).where(job.id == bindparam("job_id")).with_for_update()
        self._claimed = _claim_of(job, task)
        self._ended = _end_of(task)
        self._due = _due_of(task)
        self._recovered = _recovery_of(task)
        self._open = select(task.id).where(task.job_id == bindparam("job_id"), task.state.in_(OPEN)).limit(1)

    def lock(self, session: Session, job_id: str) -> JobT | None:
        """Return the job, locked until the transaction ends (SQLite: the whole database is)."""
        return session.scalars(self._locked, {"job_id": job_id}).one_or_none()

    def lock_unfinished(self, session: Session, node_id: int) -> Sequence[JobT]:
        """Return the jobs that have not ended and need this node, locked in the order of their ids."""
        needs = or_(*(column == node_id for column in nodes_of(self.job)))
        unfinished = select(self.job).where(needs, self.job.status.in_(RUNS)).order_by(self.job.id)
        return session.scalars(unfinished.with_for_update()).all()

    def node_of(self, session: Session, job_id: str) -> int | None:
        """Return the id of the remote node of a job; none if there is no such job."""
        return session.scalar(select(self.job.remote_id).where(self.job.id == job_id))

    def add(self, session: Session, job_id: str, tasks: Sequence[NewTask], now: datetime) -> None:
        """Add pending tasks to a job."""
        for task in tasks:
            session.add(
                self.task(
                    job_id=job_id,
                    kind=task.kind,
                    payload=task.payload,
                    state="pending",
                    created_at=now,
                    due_at=task.due_at or now + timedelta(seconds=task.delay_s),
                    starts=0,
                    failures=0,
                    **task.extra,
                )
            )

    def claim(
        self,
        session: Session,
        task_id: int,
        worker: str,
        now: datetime,
        *,
        redelivered: bool,
        abandoned_token: str = "",
    ) -> tuple[Claim, int] | None:
        """Take a task in hand, and return it with the number of starts before that nobody ended.

        Those of a job that is held are not taken. Another worker's live claim stands, unless the message was
        redelivered: then that worker has lost its connection, and the token ensures that only one of the two
        ends the task. `abandoned_token` is that of a claim on which nobody works any more.
        """
        token = new_id()
        parameters = {
            "of_task": task_id,
            "of_worker": worker,
            "new_token": token,
            "left_token": abandoned_token or None,
            "is_redelivered": redelivered,
            "now": now,
            "leased_until": now + LEASE,
        }
        row = session.execute(self._claimed, parameters).one_or_none()
        if row is None:
            return None
        job_id, kind, payload, failures, failing_since, starts = row
        failing_for_s = (now - failing_since).total_seconds() if failing_since else 0.0
        return Claim(job_id, task_id, kind, payload, token, failures, failing_for_s), starts - 1

    def hold_back(self, session: Session, job_id: str) -> None:
        """Make the queued tasks of a job pending again if it, or a node that it needs, is paused."""
        held = select(self.job.id).where(self.job.id == job_id, is_held(self.job))
        which = and_(self.task.job_id.in_(held), self.task.state == "queued")
        session.execute(update(self.task).where(which).values(state="pending"))

    def end_hold(self, session: Session, job: JobT, since: datetime, held_for: timedelta) -> None:
        """Move the times of a locked job and of its tasks on, so that the hold does not count in them."""
        if job.next_try_at is not None:
            job.next_try_at += held_for
        if job.gives_up_at is not None:
            job.gives_up_at += held_for
        task = self.task
        timed = or_(task.failing_since.is_not(None), task.due_at > since)
        rows = select(task).where(task.job_id == job.id, task.state.in_(OPEN), timed)
        for row in session.scalars(rows.with_for_update()):
            if row.failing_since is not None:
                row.failing_since += held_for
            # What was added while the job was held has been held for a shorter time.
            held_from = max(since, row.created_at)
            if row.due_at > held_from:
                row.due_at += max(held_for - (held_from - since), timedelta())

    def end(self, session: Session, claim: Claim, state: str, error: str, detail: str, now: datetime) -> bool:
        """End a task if the claim still holds; return whether it did."""
        ended = {"to_state": state, "now": now, "with_error": error, "with_detail": detail}
        of_claim = {"of_task": claim.task_id, "of_token": claim.token}
        return bool(changed_rows(session.execute(self._ended, ended | of_claim)))

    def put_back(
        self,
        session: Session,
        claim: Claim,
        *,
        due_at: datetime,
        now: datetime,
        error: str = "",
        detail: str = "",
    ) -> bool:
        """Make a task pending again, with a failure (`error`) or without; return whether the claim held."""
        values: dict[str, object] = {"state": "pending", "due_at": due_at, "starts": 0, "lease_until": None}
        if error:
            values |= {"error": error, "detail": detail, "failures": claim.failures + 1}
            values["failing_since"] = now - timedelta(seconds=claim.failing_for_s)
        elif claim.failures:
            # The time that it waits without a try does not count as time in which it failed.
            values["failing_since"] = due_at - timedelta(seconds=claim.failing_for_s)
        return self._update_claimed(session, claim, **values)

    def postpone(self, session: Session, job_id: str, due_at: datetime) -> None:
        """Let no pending task of the job be queued before this time."""
        task = self.task
        # Several tasks find out at nearly the same time; the first of them moves the rest.
        earlier = and_(task.job_id == job_id, task.state == "pending", task.due_at < due_at - MOVED_TOGETHER)
        failing = update(task).where(earlier, task.failing_since.is_not(None))
        session.execute(failing.values(failing_since=due_at))
        session.execute(update(task).where(earlier).values(due_at=due_at))

    def postpone_failing(self, session: Session, job_id: str, due_at: datetime, now: datetime) -> None:
        """Let no pending task be queued before this time, and count the wait as time in which it failed."""
        task = self.task
        earlier = and_(task.job_id == job_id, task.state == "pending", task.due_at < due_at - MOVED_TOGETHER)
        values = {"due_at": due_at, "failing_since": func.coalesce(task.failing_since, now)}
        session.execute(update(task).where(earlier).values(**values), execution_options=_UNREAD)

    def wait(
        self,
        session: Session,
        task_id: int,
        error: PeerError,
        *,
        due_at: datetime,
        now: datetime,
        since: datetime,
    ) -> bool:
        """Let a task that nobody has begun wait for its node, unless it has since; return whether it does."""
        task = self.task
        free = and_(task.id == task_id, task.state.in_(("pending", "queued")))
        patient = or_(task.failing_since.is_(None), task.failing_since > since)
        failing = {"failing_since": func.coalesce(task.failing_since, now), "error": error.code}
        waiting = {"state": "pending", "due_at": due_at, "detail": str(error), **failing}
        changed = session.execute(
            update(task).where(free, patient).values(**waiting), execution_options=_UNREAD
        )
        return bool(changed_rows(changed))

    def end_failing(self, session: Session, job_id: str) -> None:
        """Forget the wait of tasks that never failed themselves: their node is back."""
        task = self.task
        waited = and_(task.failures == 0, task.failing_since.is_not(None))
        which = and_(task.job_id == job_id, task.state == "pending", waited)
        session.execute(update(task).where(which).values(failing_since=None), execution_options=_UNREAD)

    def _update_claimed(self, session: Session, claim: Claim, **values: object) -> bool:
        task = self.task
        held = and_(task.id == claim.task_id, task.claim_token == claim.token, task.state == "running")
        changed = session.execute(update(task).where(held).values(**values), execution_options=_UNREAD)
        return bool(changed_rows(changed))

    def renew(self, session: Session, claims: Sequence[Claim], now: datetime) -> set[str]:
        """Renew the leases of claims in hand; return the tokens that still hold."""
        task = self.task
        tokens = [claim.token for claim in claims]
        held = and_(task.claim_token.in_(tokens), task.state == "running")
        session.execute(update(task).where(held).values(lease_until=now + LEASE))
        return set(session.scalars(select(task.claim_token).where(held)))

    def stopped_jobs(self, session: Session, job_ids: set[str]) -> dict[str, str]:
        """Return those of these jobs whose work is to stop, each with the reason: `cancelled` or `paused`."""
        ended, held = self.job.status.in_(ENDED), is_held(self.job)
        stopped = select(self.job.id, ended).where(self.job.id.in_(job_ids), or_(ended, held))
        return {
            job_id: "cancelled" if has_ended else "paused" for job_id, has_ended in session.execute(stopped)
        }

    def release(self, session: Session, job: JobT, now: datetime) -> tuple[list[int], list[str]]:
        """Mark pending tasks of a locked job as queued as far as its share goes.

        Returns their ids for publishing, and the other jobs of the node that have less than their share.
        """
        shared = self._standings.of_node(session, job.remote_id, now)
        others = [job_id for job_id in shared.short() if job_id != job.id]
        free = shared.free(job.id)
        return (self._queue(session, job.id, free, now) if free else []), others

    def _queue(self, session: Session, job_id: str, number: int, now: datetime) -> list[int]:
        task = self.task
        ids = list(session.scalars(self._due, {"of_job": job_id, "now": now, "number": number}))
        if not ids:
            return []
        queued = update(task).where(task.id.in_(ids)).values(state="queued", queued_at=now)
        session.execute(queued, execution_options=_UNREAD)
        return ids

    def take_back(self, session: Session, task_ids: Sequence[int], due_at: datetime) -> None:
        """Make queued tasks pending again: not published, or their node has its share."""
        which = and_(self.task.id.in_(task_ids), self.task.state == "queued")
        session.execute(update(self.task).where(which).values(state="pending", due_at=due_at))

    def has_open_tasks(self, session: Session, job_id: str) -> bool:
        """Return whether the job has an open task."""
        return session.scalar(self._open, {"job_id": job_id}) is not None

    def finish(self, session: Session, job: JobT, ending: Ending, now: datetime) -> None:
        """End a locked job; tasks that wait end with it, those in hand end by themselves.

        After a failure those in hand fail with it: their results no longer count, and are missing.
        """
        job.status, job.ended_at = ending.status, now
        job.failure, job.detail = ending.failure, ending.detail
        job.cancelled_by = ending.request.to_json() if ending.request is not None else None
        job.paused = None
        job.wait_for("")
        states: tuple[str, ...] = ("pending", "queued")
        values: dict[str, object] = {"state": "cancelled", "ended_at": now}
        if ending.failure:
            states = OPEN
            values |= {"state": "failed", "error": ending.failure, "detail": ending.detail}
        which = and_(self.task.job_id == job.id, self.task.state.in_(states))
        session.execute(update(self.task).where(which).values(**values))

    def reopen(self, job: JobT, request: RerunRequest) -> None:
        """Let a locked job that has ended run again."""
        job.status, job.ended_at, job.announced_at = "running", None, None
        job.failure, job.detail, job.cancelled_by = "", "", None
        job.raised = None
        job.wait_for("")
        job.round += 1
        job.asked_again = [*(job.asked_again or []), request.to_json()]

    def retry(self, session: Session, job_id: str, kind: str, now: datetime) -> None:
        """Make the tasks of a kind that failed or were cancelled pending again, as if never begun."""
        task = self.task
        undone = and_(task.job_id == job_id, task.kind == kind, task.state.in_(("failed", "cancelled")))
        fresh = {"state": "pending", "due_at": now, "starts": 0, "failures": 0, "failing_since": None}
        blank = {"ended_at": None, "error": "", "detail": ""}
        session.execute(update(task).where(undone).values(**fresh, **blank))

    def recover(self, session: Session, now: datetime, *, queue_is_empty: bool) -> int:
        """Make tasks of dead workers and tasks whose message was lost pending again; return how many."""
        lost_before = now - QUEUED_AT_MOST if queue_is_empty else None
        return changed_rows(session.execute(self._recovered, {"now": now, "lost_before": lost_before}))

    def jobs_with_work(self, session: Session, now: datetime) -> list[str]:
        """Return unfinished jobs that may begin a task, or have none open at all."""
        nodes = self._standings.of_due(session, now)
        done = [standing.job_id for shared in nodes for standing in shared.standings if not standing.is_open]
        return [*done, *(job_id for shared in nodes for job_id in shared.short())]

    def has_open_jobs(self, session: Session) -> bool:
        """Return whether any job has not ended."""
        return bool(session.scalar(select(exists().where(self.job.status.in_(RUNS)))))

    def unannounced(self, session: Session, before: datetime) -> list[str]:
        """Return jobs that ended before this time and whose end was not announced."""
        job = self.job
        which = and_(job.status.in_(ENDED), job.announced_at.is_(None), job.ended_at < before)
        return list(session.scalars(select(job.id).where(which)))

    def progress_is_due(self, session: Session, job_id: str, before: datetime) -> bool:
        """Return whether no worker has published progress of this job since then."""
        job = self.job
        due = and_(job.id == job_id, or_(job.progress_at.is_(None), job.progress_at <= before))
        return session.scalar(select(job.id).where(due)) is not None


def changed_rows(result: object) -> int:
    """Return how many rows an UPDATE or DELETE changed; `result` is that of `Session.execute`."""
    assert isinstance(result, CursorResult), "only a statement that changes rows has such a number"
    return result.rowcount
