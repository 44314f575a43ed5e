"""Wires the query service and runs it."""

from __future__ import annotations

import sys

from services.query.commands import QueryHandler
from services.query.ledger.folding.job_retention import JobRetention
from services.query.node_commands import NodeHandler
from services.query.profile.measure_node import NodeMeasurement
from services.query.read_commands import ReadHandler
from services.query.scheduler import Scheduler, watermark_metrics
from services.query.study_lists import LongListFeeder
from services.query.tallier import Tallier
from services.query.tasks import QueryJobService
from shared.broker.port import Broker
from shared.contract.messages import (
    AskAgain,
    CancelJob,
    Command,
    PauseJob,
    PauseNode,
    ProfileNode,
    RaiseJob,
    RequestResult,
    RequestStatus,
    ResumeJob,
    ResumeNode,
    RunQuery,
)
from shared.control.node_control import NodeControl
from shared.database.session import Database
from shared.jobs.bootstrap import route_commands, start_parts
from shared.jobs.engine import Engine
from shared.jobs.runner import policy_of, run_engine
from shared.lifecycle import Lifecycle
from shared.messaging.command_router import CommandHandler
from shared.schedules.ledger import site_of
from shared.service import run_service, worker_name
from shared.settings import Settings, load

#: Nodes that a process measures side by side: one that hangs does not keep others from it.
_MEASURED_AT_ONCE = 4


def start(settings: Settings, broker: Broker, database: Database, lifecycle: Lifecycle) -> None:
    """Start to take query commands and to work on their tasks; the lifecycle ends it."""
    parts = start_parts("query", settings, broker, database, lifecycle)
    clock, publisher = parts.clock, parts.publisher
    work = QueryJobService(settings, database, publisher, parts.pool, clock)
    name, policy = worker_name("query"), policy_of(settings)
    engine = Engine(work, database, publisher, name, policy, clock, parts.reachability)
    run_engine(engine, broker, lifecycle, workers=settings.query_workers, grace_s=settings.grace)
    handler = QueryHandler(settings, database, engine, clock)
    reading = ReadHandler(database)
    nodes = NodeHandler(NodeControl(database, clock), publisher)
    handlers: dict[type[Command], CommandHandler] = {
        RunQuery: handler.run,
        CancelJob: handler.cancel,
        AskAgain: handler.again,
        PauseJob: handler.pause,
        ResumeJob: handler.resume,
        RaiseJob: handler.raise_priority,
        PauseNode: nodes.pause,
        ResumeNode: nodes.resume,
        RequestStatus: reading.status,
        RequestResult: reading.result,
    }
    route_commands("query", handlers, broker, publisher, lifecycle, grace_s=settings.grace)
    scheduler = Scheduler(database, handler.begin, site_of(settings), clock)
    tallier = Tallier(database, clock)
    retention = JobRetention(database, settings.retention, clock)
    lists = LongListFeeder(database, handler.begin, handler.cancel_by, clock)
    for part in (scheduler, tallier, retention, lists):
        part.start()
        lifecycle.on_stop(part.stop)
    lifecycle.health.add_metrics(lambda: watermark_metrics(database, clock))
    measurer = NodeMeasurement(settings, database, publisher, parts.pool, clock)
    profiling: dict[type[Command], CommandHandler] = {ProfileNode: measurer}
    route_commands(
        "query-profile",
        profiling,
        broker,
        publisher,
        lifecycle,
        grace_s=settings.grace,
        workers=_MEASURED_AT_ONCE,
    )
    lifecycle.on_stop(measurer.stop)


def main() -> int:
    """Run the service in the foreground."""
    return run_service("query", start, load())


if __name__ == "__main__":
    sys.exit(main())
