"""Wires the retrieve service and runs it."""

from __future__ import annotations

import sys

from services.retrieve.commands import RetrieveHandler
from services.retrieve.tasks import RetrieveJobService
from services.retrieve.transfer.own_store import OwnStore
from shared.broker.port import Broker
from shared.contract.messages import AskAgain, CancelJob, Command, PauseJob, RaiseJob, ResumeJob, RunRetrieve
from shared.database.session import Database
from shared.jobs.bootstrap import route_commands, start_parts
from shared.jobs.engine import Engine
from shared.jobs.runner import policy_of, run_engine
from shared.lifecycle import Lifecycle
from shared.messaging.command_router import CommandHandler
from shared.service import run_service, worker_name
from shared.settings import Settings, load


def start(settings: Settings, broker: Broker, database: Database, lifecycle: Lifecycle) -> None:
    """Start to take retrieve commands and to work on their tasks; the lifecycle ends it."""
    parts = start_parts("retrieve", settings, broker, database, lifecycle)
    clock, publisher = parts.clock, parts.publisher

    def report(job_id: str) -> None:
        engine.events.try_progress(job_id)

    own_store = OwnStore()
    lifecycle.on_stop(own_store.subscribe(broker).close)
    work = RetrieveJobService(settings, database, parts.pool, report, clock, own_store)
    lifecycle.health.add_metrics(work.back_pressure.metrics)
    engine = Engine(work, database, publisher, worker_name("retrieve"), policy_of(settings), clock)
    run_engine(engine, broker, lifecycle, workers=settings.retrieve_workers, grace_s=settings.grace)
    handler = RetrieveHandler(settings, database, engine, clock)
    handlers: dict[type[Command], CommandHandler] = {
        RunRetrieve: handler.run,
        CancelJob: handler.cancel,
        AskAgain: handler.again,
        PauseJob: handler.pause,
        ResumeJob: handler.resume,
        RaiseJob: handler.raise_priority,
    }
    route_commands(
        "retrieve",
        handlers,
        broker,
        publisher,
        lifecycle,
        grace_s=settings.grace,
        also_read_elsewhere=(CancelJob, AskAgain, PauseJob, ResumeJob, RaiseJob),
    )


def main() -> int:
    """Run the service in the foreground."""
    return run_service("retrieve", start, load())


if __name__ == "__main__":
    sys.exit(main())
