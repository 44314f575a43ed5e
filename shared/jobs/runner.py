"""Attaches an engine to the broker: consumes its tasks, sweeps, and returns tasks when it stops."""

from __future__ import annotations

import threading
import time

import structlog

from shared.broker.port import Broker, Message
from shared.broker.worker import Consumption, Worker
from shared.errors import RetriableError
from shared.jobs.engine import Engine
from shared.jobs.model import JobT
from shared.jobs.retry import Policy
from shared.jobs.shares.worker_shares import WorkerShares
from shared.lifecycle import Lifecycle
from shared.messaging.codec import read_task
from shared.settings import Settings

log = structlog.get_logger(__name__)

#: Seconds between two sweeps for due retries, dead workers and lost messages.
SWEEP_S = 1.0
#: The same while no job is open and no task comes: an idle installation should cost next to nothing.
IDLE_SWEEP_S = 5.0


def policy_of(settings: Settings) -> Policy:
    """Return how long tasks are tried under these settings."""
    return Policy(patience_s=settings.patience, pauses_s=settings.retry_pauses)


def run_engine(
    engine: Engine[JobT], broker: Broker, lifecycle: Lifecycle, *, workers: int, grace_s: float
) -> None:
    """Start to work on tasks, on `workers` tasks of one node at most.

    The lifecycle ends it: first no more deliveries, then what is in hand.
    """
    queue = f"{engine.service.kind}-tasks"
    engine.running_tasks.start()
    lifecycle.on_stop(engine.running_tasks.stop)
    task_came = threading.Event()
    parts = (engine, broker, queue, lifecycle.stopping, task_came)
    sweeper = threading.Thread(target=_sweep, args=parts, name="sweeper", daemon=True)
    sweeper.start()
    lifecycle.on_stop(sweeper.join)
    shares, duty = WorkerShares(workers), lifecycle.duty_of(engine.service.kind)

    def handle(message: Message, redelivered: bool) -> None:
        task_came.set()
        task, _ = read_task(message)
        with shares.turn(engine.nodes.node_of(task.job_id) or 0) as granted:
            # What waited while the service began to stop, or was drained, is for another worker.
            if granted and not lifecycle.stopping.is_set() and duty.state == "running":
                engine.handle(message, redelivered)
            else:
                engine.postpone(task)

    consumption = Consumption(lambda: Worker(broker, queue, handle, workers=shares.threads))
    consumption.begin()
    duty.claimed_tasks = engine.running_tasks.claimed_tasks
    duty.consists_of(consumption.drain, consumption.begin)

    def stop() -> None:
        # Work in hand may end by itself within the grace period; then it hands its tasks back.
        timer = threading.Timer(grace_s, engine.running_tasks.interrupt)
        timer.start()
        consumption.stop(grace_s + 5.0)
        timer.cancel()

    lifecycle.on_stop(stop)


def _sweep(
    engine: Engine[JobT],
    broker: Broker,
    queue: str,
    stopping: threading.Event,
    task_came: threading.Event,
) -> None:
    is_idle = False
    while _paused(stopping, task_came, IDLE_SWEEP_S if is_idle else SWEEP_S):
        task_came.clear()
        is_idle = False
        try:
            is_idle = not engine.sweep(queue_is_empty=broker.queue_state(queue).ready == 0)
        except RetriableError as error:
            log.warning("sweep postponed", error=str(error))


def _paused(stopping: threading.Event, task_came: threading.Event, pause_s: float) -> bool:
    """Wait for the next sweep, which a task puts forward; return False once the service stops."""
    end = time.monotonic() + pause_s
    while (left_s := end - time.monotonic()) > 0:
        if stopping.wait(min(SWEEP_S, left_s)):
            return False
        if task_came.is_set():
            break
    return True
