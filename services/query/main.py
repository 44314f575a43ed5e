"""Wires the query service and runs it."""

from __future__ import annotations

import sys

from services.query.handler import QueryHandler
from services.query.measurer import Measurer
from services.query.work import QueryWork
from shared.broker.commands import CommandHandler, CommandRouter
from shared.broker.port import Broker
from shared.broker.worker import Worker
from shared.contract.messages import AskAgain, CancelJob, Command, ProfileNode, RunQuery
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
    """Start to answer query commands and to work on their tasks; the lifecycle ends it."""
    clock = DatabaseClock(database)
    clock.start()
    lifecycle.on_stop(clock.stop)
    publisher = Publisher(broker, "query", clock)
    budget = ClusterBudget(database, worker_name("query"), clock)
    budget.start()
    lifecycle.on_stop(budget.close)
    links = LinkPool(timeouts_of(settings), budget)
    lifecycle.on_stop(links.close)
    work = QueryWork(settings, database, publisher, links, clock)
    engine = Engine(work, database, publisher, worker_name("query"), policy_of(settings), clock)
    run_engine(engine, broker, lifecycle, workers=settings.query_workers, grace_s=settings.grace)
    handler = QueryHandler(settings, database, publisher, engine, clock)
    handlers: dict[type[Command], CommandHandler] = {
        RunQuery: handler.run,
        CancelJob: handler.cancel,
        AskAgain: handler.again,
    }
    router = CommandRouter(handlers, publisher)
    commands = Worker(broker, "query", router, workers=COMMAND_WORKERS)
    commands.start()
    lifecycle.on_stop(lambda: commands.stop(settings.grace))
    measurer = Measurer(settings, database, publisher, links, clock)
    measurements = Worker(
        broker, "query-profile", CommandRouter({ProfileNode: measurer}, publisher), workers=1
    )
    measurements.start()
    lifecycle.on_stop(lambda: measurements.stop(settings.grace))
    lifecycle.on_stop(measurer.stop)


def main() -> int:
    """Run the service in the foreground."""
    return run_service("query", start, load())


if __name__ == "__main__":
    sys.exit(main())
