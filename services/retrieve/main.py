"""Wires the retrieve service and runs it."""

from __future__ import annotations

import sys

from services.retrieve.handler import RetrieveHandler
from services.retrieve.work import RetrieveWork
from shared.broker.commands import CommandHandler, CommandRouter
from shared.broker.port import Broker
from shared.broker.worker import Worker
from shared.contract.messages import AskAgain, CancelJob, Command, RunRetrieve
from shared.database.clock import DatabaseClock
from shared.database.session import Database
from shared.dicom.cluster_budget import ClusterBudget
from shared.dicom.peers import timeouts_of
from shared.dicom.pool import LinkPool
from shared.events import Publisher
from shared.jobs.engine import Engine
from shared.jobs.runner import policy_of, run_engine
from shared.lifecycle import Lifecycle
from shared.service import run_service, worker_name
from shared.settings import Settings, load

#: Commands that one process answers at once; they only write rows.
COMMAND_WORKERS = 2


def start(settings: Settings, broker: Broker, database: Database, lifecycle: Lifecycle) -> None:
    """Start to answer retrieve commands and to work on their tasks; the lifecycle ends it."""
    clock = DatabaseClock(database)
    clock.start()
    lifecycle.on_stop(clock.stop)
    publisher = Publisher(broker, "retrieve", clock)
    budget = ClusterBudget(database, worker_name("retrieve"), clock)
    budget.start()
    lifecycle.on_stop(budget.close)
    links = LinkPool(timeouts_of(settings), budget)
    lifecycle.on_stop(links.close)

    def report(job_id: str) -> None:
        engine.tell.progress_or_not(job_id)

    work = RetrieveWork(settings, database, links, report, clock)
    engine = Engine(work, database, publisher, worker_name("retrieve"), policy_of(settings), clock)
    run_engine(engine, broker, lifecycle, workers=settings.retrieve_workers, grace_s=settings.grace)
    handler = RetrieveHandler(database, publisher, engine, clock)
    handlers: dict[type[Command], CommandHandler] = {
        RunRetrieve: handler.run,
        CancelJob: handler.cancel,
        AskAgain: handler.again,
    }
    router = CommandRouter(handlers, publisher)
    commands = Worker(broker, "retrieve", router, workers=COMMAND_WORKERS)
    commands.start()
    lifecycle.on_stop(lambda: commands.stop(settings.grace))


def main() -> int:
    """Run the service in the foreground."""
    return run_service("retrieve", start, load())


if __name__ == "__main__":
    sys.exit(main())
