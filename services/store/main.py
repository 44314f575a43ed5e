"""The store service: a C-STORE SCP whose objects are on disk and known before they are acknowledged."""

from __future__ import annotations

import sys
import threading

import structlog

from services.store.announce import Announcer
from services.store.committer import Committer
from services.store.counters import Counters, log_changes
from services.store.inbox import Inbox
from services.store.intake import Intake
from services.store.keep import ObjectFolder
from services.store.receive import StoreScp, listening_socket
from services.store.register import RegisterHandler
from services.store.scan import Scanner
from shared.broker.commands import CommandHandler, CommandRouter
from shared.broker.port import Broker
from shared.broker.worker import Worker
from shared.contract.messages import Command, RegisterObjects
from shared.database.session import Database
from shared.errors import PermanentError
from shared.events import Publisher
from shared.lifecycle import Lifecycle
from shared.service import run_service
from shared.settings import Settings, load

log = structlog.get_logger(__name__)

NAME = "store"
#: Short name of its queue in the topology.
QUEUE = "store"
#: An answer goes out so long before the sender's time-out, by our own measure of it.
ANSWER_MARGIN_S = 10.0
#: Exit code (spec, section 9): failed otherwise.
FAILED = 5


def start(settings: Settings, broker: Broker, database: Database, lifecycle: Lifecycle) -> None:
    """Wire the store to real parts and start it.

    Raises:
        PermanentError: the port is taken.
        RetriableError: the folder of objects cannot be written.
    """
    counters, publisher = Counters(), Publisher(broker, NAME)
    folder = ObjectFolder(settings.objects_dir)
    folder.open()
    lifecycle.on_stop(folder.close)
    scan_wanted = threading.Event()
    announcer = Announcer(database, publisher, folder, counters, store_ae_title=settings.store_ae_title)
    committer = Committer(
        database,
        wait_s=answer_within_s(settings.dimse_timeout),
        sync_names=folder.sync_names,
        on_committed=announcer.committed,
        on_missed=scan_wanted.set,
    )
    scanner = Scanner(database, folder, committer, scan_wanted)
    intake = Intake(folder, committer, counters)
    scp = StoreScp(
        intake.take,
        listener=listening_socket(settings.store_host, settings.store_port),
        ae_title=settings.store_ae_title,
        stall_timeout_s=settings.dimse_timeout,
        open_part=intake.open_part,
        count=counters.add,
    )
    # What is started first is stopped last: no receipt is left behind by its committer or announcer.
    for part in (announcer, committer, scanner, _consumption(settings, broker, database, publisher)):
        part.start()
        lifecycle.on_stop(lambda part=part: part.stop(settings.grace))  # type: ignore[misc]
    scp.start()
    lifecycle.on_stop(lambda: scp.stop(settings.grace))
    _log_counters(counters, lifecycle)


def answer_within_s(dimse_timeout_s: float) -> float:
    """Return how long an object may wait to be known, in seconds, before its sender is told to try again."""
    return max(dimse_timeout_s - ANSWER_MARGIN_S, dimse_timeout_s / 2)


def _consumption(settings: Settings, broker: Broker, database: Database, publisher: Publisher) -> Worker:
    handlers: dict[type[Command], CommandHandler] = {RegisterObjects: RegisterHandler(database, publisher)}
    inbox = Inbox(CommandRouter(handlers, publisher), database, settings.store_ae_title)
    return Worker(broker, QUEUE, inbox, workers=1)


def _log_counters(counters: Counters, lifecycle: Lifecycle) -> None:
    thread = threading.Thread(
        target=log_changes, args=(counters, lifecycle.stopping), name="counters", daemon=True
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
