"""Starts what notices and what sends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.web.notifier.dispatcher import POLL_S, RECORDING_S, Dispatcher
from services.web.notifier.watcher import LEASE_S, TICK_S, Watcher, rules_of
from shared.broker.port import Broker
from shared.contract.text import StoreState
from shared.database.clock import DatabaseClock
from shared.database.session import Database
from shared.lifecycle import Lifecycle
from shared.notifications.addresses import cipher_of
from shared.notifications.transport.sender import STARTING_S, Sender
from shared.service import worker_name
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class NotifierPace:
    """Seconds between two observations and two searches, of leases, and to start a process."""

    tick_s: float = TICK_S
    lease_s: float = LEASE_S
    poll_s: float = POLL_S
    starting_s: float = STARTING_S
    recording_s: float = RECORDING_S


def start_notifier(
    settings: Settings,
    broker: Broker,
    database: Database,
    store_states: Callable[[], Iterable[StoreState]],
    lifecycle: Lifecycle,
    pace: NotifierPace = NotifierPace(),
) -> None:
    """Observe and send until the lifecycle ends it.

    Raises:
        PermanentError: the key of the addresses cannot be read.
    """
    clock = DatabaseClock(database)
    clock.start()
    lifecycle.on_stop(clock.stop)
    rules, holder = rules_of(settings), worker_name("web")
    watcher = Watcher(
        database, broker, store_states, rules, clock, holder, tick_s=pace.tick_s, lease_s=pace.lease_s
    )
    watcher.start()
    lifecycle.on_stop(watcher.stop)
    policy = settings.address_policy
    dispatcher = Dispatcher(
        database,
        Sender(policy, settings.notification_timeout, pace.starting_s),
        policy,
        cipher_of(settings),
        settings.notification_pauses,
        settings.public_url,
        clock,
        poll_s=pace.poll_s,
        recording_s=pace.recording_s,
    )
    dispatcher.start()
    lifecycle.on_stop(dispatcher.stop)
