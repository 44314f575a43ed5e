"""The store service: a C-STORE SCP whose objects are on disk and known before they are acknowledged."""

from __future__ import annotations

import sys
import threading
from functools import partial
from typing import Protocol

import structlog

from services.store.dose_reports.reader import ReportReader
from services.store.handover.factory import handover_workers
from services.store.handover.retry import RetryHandler
from services.store.index.file_retention import FileRetention
from services.store.index.folder_scan import FolderScanner
from services.store.index.messages import RegisterHandler, StoreMessages
from services.store.metrics.counters import StoreCounters, log_counters
from services.store.metrics.health import StoreStateSource, metrics, write_problem
from services.store.scp.process_group import ReceiverProcesses
from services.store.scp.receiver_process import NAME, Receiver
from services.store.scp.server import listening_socket
from shared.broker.port import Broker
from shared.broker.worker import Worker
from shared.clock import Clock
from shared.contract.messages import Command, RegisterObjects, RetryHandover
from shared.database.session import Database
from shared.errors import PermanentError
from shared.lifecycle import Lifecycle
from shared.messaging.command_router import CommandHandler, CommandRouter
from shared.messaging.publisher import Publisher
from shared.service import run_service
from shared.settings import Settings, load

log = structlog.get_logger(__name__)

#: Short name of its queue in the topology.
QUEUE = "store"
#: Exit code (spec, section 9): failed otherwise.
FAILED = 5


class _Part(Protocol):
    def start(self) -> None: ...

    def stop(self, grace_s: float, /) -> None: ...


def start(settings: Settings, broker: Broker, database: Database, lifecycle: Lifecycle) -> None:
    """Wire the store to real parts and start it.

    Raises:
        PermanentError: the port is taken, the files for TLS cannot be used, or two ways to hand over are set.
        RetriableError: the folder of objects cannot be written.
    """
    counters, scan_wanted = StoreCounters(rows=processes_of(settings)), threading.Event()
    listener = listening_socket(settings.store_host, settings.store_port)
    lifecycle.on_stop(listener.close)
    receiver = Receiver(settings, broker, database, counters, listener, scan_wanted.set)
    receivers = ReceiverProcesses(settings, counters, listener.fileno(), scan_wanted.set)
    scanner = FolderScanner(database, receiver.folder, receiver.committer, scan_wanted)
    reader = ReportReader(database, settings.objects_dir)
    handing = handover_workers(settings, database, receiver.folder)
    consumption = _consumption(settings, broker, database, receiver.clock)
    expiry = FileRetention(database, receiver.folder, settings.retention, receiver.clock)
    others: list[_Part] = [scanner, reader, *handing, consumption]

    def start_others() -> None:
        for part in others:
            part.start()
            lifecycle.on_stop(partial(part.stop, settings.grace))
        expiry.start()
        lifecycle.on_stop(expiry.stop)

    lifecycle.on_stop(receivers.wait)
    receiver.start(lifecycle, start_others)
    receivers.start()
    lifecycle.on_stop(receivers.dismiss)
    lifecycle.health.add_check("objects", lambda: write_problem(receiver.folder.space))
    lifecycle.health.add_metrics(lambda: metrics(counters, receiver.folder.space))
    lifecycle.health.store_state = StoreStateSource(receiver.folder.space, counters)
    _log_counters(counters, lifecycle)


def processes_of(settings: Settings) -> int:
    """Return how many processes receive; where all services are embedded in one process, it is that one."""
    if settings.embedded:
        return 1
    return settings.store_processes


def _consumption(settings: Settings, broker: Broker, database: Database, clock: Clock) -> Worker:
    publisher = Publisher(broker, NAME)
    handlers: dict[type[Command], CommandHandler] = {
        RegisterObjects: RegisterHandler(database, publisher, clock),
        RetryHandover: RetryHandler(database, publisher, enabled=settings.handover_enabled),
    }
    inbox = StoreMessages(CommandRouter(handlers, publisher), database, settings.store_ae_title, clock)
    return Worker(broker, QUEUE, inbox, workers=1)


def _log_counters(counters: StoreCounters, lifecycle: Lifecycle) -> None:
    thread = threading.Thread(
        target=log_counters, args=(counters, lifecycle.stopping), name="counters", daemon=True
    )
    thread.start()
    lifecycle.on_stop(thread.join)


def main() -> int:
    """Run the store service in the foreground; returns the exit code."""
    try:
        return run_service(NAME, start, load())
    except PermanentError as error:
        log.critical("cannot run", error=str(error))
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
