"""Cancels, reruns, pauses, resumes and raises the jobs of one service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

import structlog
from sqlalchemy.orm import Session

from shared.contract.messages import ENDED
from shared.control import early_orders
from shared.control.early_orders import Order
from shared.database.models.pause import Pause, PriorityRaise, time_held
from shared.errors import InvalidInputError
from shared.jobs.engine import Engine
from shared.jobs.model import CancelRequest, Ending, JobT, RerunRequest

log = structlog.get_logger(__name__)


class JobControl(Generic[JobT]):
    """Does what commands request of jobs that there are; each command may come again at any time."""

    def __init__(self, engine: Engine[JobT]) -> None:
        self._engine = engine
        self._database = engine.database
        self._ledger = engine.ledger
        self._events = engine.events
        self._clock = engine.clock

    def begin(self, job_id: str) -> None:
        """Publish that the command of this id is a job, and go on with the job.

        Called after the job was committed, and each time its command comes again: so `accepted` is published
        however often the broker failed or a worker died between. What was ordered of the job before it was
        there is done first. A job that has ended ends once more for whoever sent the command again; both
        events keep their ids.

        Raises:
            RetriableError: the broker or the database is away.
        """
        kind = self._engine.service.kind
        with self._database.read_outside() as session:
            orders = early_orders.kept_for(session, kind, job_id)
            job = session.get_one(self._ledger.job, job_id)
        self._engine.nodes.remember(job_id, job.remote_id)
        # Whoever follows the job learns first that there is one.
        self._events.accepted(job)
        if orders:
            for row in orders:
                self._obey(row.action, row.job_id, row.command_id, row.requested_by)
            with self._database.write() as session:
                early_orders.forget(session, orders)
        self._engine.advance(job_id)
        if job.status in ENDED:
            self._events.repeat_end(job_id)

    def keep(self, order: Order) -> bool:
        """Keep an order until its job comes; True if it has come meanwhile, and the order is done.

        Raises:
            RetriableError: the broker or the database is away.
        """
        with self._database.write() as session:
            early_orders.keep(session, self._engine.service.kind, order, self._clock())
        log.info("order kept", job_id=order.job_id, action=order.action, requested_by=order.requested_by)
        return self._obey(order.action, order.job_id, order.command_id, order.requested_by)

    def _obey(self, action: str, job_id: str, command_id: str, requested_by: str) -> bool:
        if action == "cancel":
            return self.cancel(job_id, CancelRequest(command_id, requested_by))
        if action == "pause":
            return self.pause(job_id, Pause(requested_by, self._clock(), command_id))
        if action == "raise":
            return self.raise_priority(job_id, PriorityRaise(requested_by, self._clock(), command_id))
        return self.resume(job_id, command_id, requested_by)

    def cancel(self, job_id: str, request: CancelRequest | None = None) -> bool:
        """End a job that runs; False if there is none of this service with this id.

        The end of a job that has ended is published once more, with its id: the sender learns how it stands.

        Raises:
            RetriableError: the broker or the database is away.
        """
        with self._database.write() as session:
            job = self._ledger.lock(session, job_id)
            if job is None:
                return False
            had_ended = job.status in ENDED
            if not had_ended:
                self._ledger.finish(session, job, Ending("cancelled", request=request), self._clock())
        self._engine.advance(job_id)
        if had_ended:
            self._events.repeat_end(job_id)
        return True

    def rerun(self, job_id: str, request: RerunRequest, prepare: Callable[[Session, JobT], None]) -> bool:
        """Run an ended job again for what is missing of it; False if there is none of this service.

        `prepare` makes that pending, with the job locked. The same command again only goes on with it; if the
        job has ended since, its end is published once more.

        Raises:
            InvalidInputError: nothing is missing, or the job has not ended.
            RetriableError: the broker or the database is away.
        """
        with self._database.write() as session:
            job = self._ledger.lock(session, job_id)
            if job is None:
                return False
            repeats_end = request.is_known_to(job) and job.status in ENDED
            if not request.is_known_to(job):
                _require_missing(job)
                # Each round has an end of its own: whoever waits for that of the last one hears it.
                self._events.end_of_locked(session, job)
                prepare(session, job)
                self._ledger.reopen(job, request)
                log.info("job rerun", job_id=job_id, requested_by=request.requested_by, round=job.round)
        self._events.accepted(job)
        self._engine.advance(job_id)
        if repeats_end:
            self._events.repeat_end(job_id)
        return True

    def pause(self, job_id: str, pause: Pause) -> bool:
        """Let a job rest; False if there is none of this service with this id.

        Whoever works on it stops within two seconds and hands its tasks back. The end of a job that has ended
        is published once more.

        Raises:
            RetriableError: the broker or the database is away.
        """
        with self._database.write() as session:
            job = self._ledger.lock(session, job_id)
            if job is None:
                return False
            if job.status not in ENDED and job.begin_pause(pause):
                session.flush()
                self._ledger.hold_back(session, job_id)
                log.info("job paused", job_id=job_id, requested_by=pause.by)
        self._report(job_id, pause.command_id)
        return True

    def resume(self, job_id: str, command_id: str, requested_by: str) -> bool:
        """Let a paused job go on; False if there is none of this service with this id.

        The time for which it was paused counts in no time limit. The end of a job that has ended is published
        once more.

        Raises:
            RetriableError: the broker or the database is away.
        """
        now = self._clock()
        with self._database.write() as session:
            job = self._ledger.lock(session, job_id)
            if job is None:
                return False
            ended_pause = job.end_pause(command_id) if job.status not in ENDED else None
            if ended_pause is not None:
                held_for = time_held(ended_pause, job.node_pauses.values(), now)
                self._ledger.end_hold(session, job, ended_pause.at, held_for)
                log.info("job resumed", job_id=job_id, requested_by=requested_by)
        self._report(job_id, command_id)
        return True

    def raise_priority(self, job_id: str, raised: PriorityRaise) -> bool:
        """Let the tasks of a job go before those of others; False if there is none of this service.

        The first raise stands until the job has ended. The end of one that has ended is published once more.

        Raises:
            RetriableError: the broker or the database is away.
        """
        with self._database.write() as session:
            job = self._ledger.lock(session, job_id)
            if job is None:
                return False
            if job.status not in ENDED and job.raised is None:
                job.raised = raised.to_json()
                log.info("job raised", job_id=job_id, requested_by=raised.by)
        with self._database.read() as session:
            job = session.get_one(self._ledger.job, job_id)
        if job.status not in ENDED:
            self._events.raised(job, raised.command_id)
        self._engine.advance(job_id)
        if job.status in ENDED:
            self._events.repeat_end(job_id)
        return True

    def _report(self, job_id: str, command_id: str) -> None:
        with self._database.read() as session:
            job = session.get_one(self._ledger.job, job_id)
        if job.status not in ENDED:
            self._events.pause(job, command_id)
        self._engine.advance(job_id)
        if job.status in ENDED:
            self._events.repeat_end(job_id)


def _require_missing(job: JobT) -> None:
    if job.status == "completed":
        raise InvalidInputError("data.job_id", "nothing is missing: it is completed")
    if job.status not in ENDED:
        raise InvalidInputError("data.job_id", f"has not ended yet; it is {job.status}")
