"""Orders about a job that there is, or that no service has taken yet: pause, resume, raise, cancel."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from services.cli.client.events import listening, refuse_rejected
from services.cli.client.follower import Follower
from services.cli.client.session import JOB_QUEUES, deserted, require_workers
from services.cli.output.progress import reporting
from shared.broker.port import Broker
from shared.contract.envelope import new_id
from shared.contract.messages import ENDED, CancelJob, PauseJob, RaiseJob, ResumeJob
from shared.database.session import Database
from shared.messaging.publisher import Publisher
from shared.reading.jobs import Job, get_job, kind_of

JobOrder = CancelJob | PauseJob | ResumeJob | RaiseJob

#: Seconds to wait until a worker has taken the command; and the longest time until it refuses it.
TAKEN_WITHIN_S, REFUSED_WITHIN_S = 15.0, 5.0

#: An id as DoseQR makes them: whole, so that it is no beginning of another one.
_OWN_ID = re.compile(r"[0-9a-f]{32}(-r)?")


def may_be_on_its_way(job_id: str) -> bool:
    """Return whether this is a whole id of a job whose command may still lie in a queue."""
    return _OWN_ID.fullmatch(job_id.strip()) is not None


def order_and_wait(
    database: Database, broker: Broker, job: Job, order: JobOrder, done: Callable[[Job], bool]
) -> Job | None:
    """Publish an order about a job, and return the job once it is done; None if no worker took it in time.

    Raises:
        CommandError: no worker listens.
        InvalidInputError: the services rejected the command.
        BrokerAwayError: the broker cannot be reached.
    """
    kind, command_id = kind_of(job), new_id()
    require_workers(broker, JOB_QUEUES[kind][:1])
    keys = [f"*.*.{job.id}", f"command.rejected.{command_id}"]
    with listening(broker, keys) as event_queue, reporting() as reporter:
        Publisher(broker, "cli").command(order, command_id=command_id)
        follower = Follower(database, broker, event_queue, reporter, command_ids=(command_id,))
        return follower.until_changed(
            kind, job.id, lambda now: now.status in ENDED or done(now), TAKEN_WITHIN_S
        )


def order_early(database: Database, broker: Broker, order: JobOrder) -> Job | None:
    """Publish an order about a job of which there is no row; return the job if it has come meanwhile.

    Without workers both commands wait in their queues.

    Raises:
        InvalidInputError: a worker knows no such job; it keeps the order in case that the job comes.
        BrokerAwayError: the broker cannot be reached.
    """
    command_id = new_id()
    with listening(broker, [f"command.rejected.{command_id}"]) as event_queue:
        Publisher(broker, "cli").command(order, command_id=command_id)
        if deserted(broker, JOB_QUEUES["query"][:1]):
            return None
        deadline = time.monotonic() + REFUSED_WITHIN_S
        while time.monotonic() < deadline:
            refuse_rejected(event_queue.next(0.25), (command_id,))
            with database.read() as session:
                job = get_job(session, order.job_id)
            if job is not None:
                return job
    return None
