"""The parts that every service with jobs starts: clock, publisher, association pool, command queue."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

from shared.broker.port import Broker
from shared.broker.worker import Worker
from shared.contract.messages import Command
from shared.database.clock import DatabaseClock
from shared.database.session import Database
from shared.lifecycle import Lifecycle
from shared.messaging.command_router import CommandHandler, CommandRouter
from shared.messaging.publisher import Publisher
from shared.node_access.budget import ClusterBudget
from shared.node_access.pool import AssociationPool
from shared.node_access.reachability import Reachability
from shared.nodes.peers import peer_of, timeouts_of
from shared.service import worker_name
from shared.settings import Settings

#: Commands that one process handles at the same time; they only write rows.
COMMAND_WORKERS = 2


@dataclass(frozen=True, slots=True)
class JobServiceParts:
    """The parts that work on jobs needs."""

    clock: DatabaseClock
    publisher: Publisher
    pool: AssociationPool
    reachability: Reachability


def start_parts(
    service: str, settings: Settings, broker: Broker, database: Database, lifecycle: Lifecycle
) -> JobServiceParts:
    """Start the clock of the cluster and the association pool; the lifecycle ends them."""
    clock = DatabaseClock(database)
    clock.start()
    lifecycle.on_stop(clock.stop)
    budget = ClusterBudget(database, worker_name(service), clock)
    budget.start()
    lifecycle.on_stop(budget.close)
    pool = AssociationPool(timeouts_of(settings), budget)
    lifecycle.on_stop(pool.close)
    reachability = Reachability(database, timeouts_of(settings), partial(peer_of, settings=settings), clock)
    return JobServiceParts(clock, Publisher(broker, service, clock), pool, reachability)


def route_commands(
    queue: str,
    handlers: Mapping[type[Command], CommandHandler],
    broker: Broker,
    publisher: Publisher,
    lifecycle: Lifecycle,
    *,
    grace_s: float,
    workers: int = COMMAND_WORKERS,
    also_read_elsewhere: Collection[type[Command]] = (),
) -> None:
    """Start to handle the commands of a queue; the lifecycle ends it."""
    router = CommandRouter(handlers, publisher, also_read_elsewhere=also_read_elsewhere)
    commands = Worker(broker, queue, router, workers=workers)
    commands.start()
    lifecycle.on_stop(lambda: commands.stop(grace_s))
