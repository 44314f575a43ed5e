"""The receiving part of a store: association, folder, index, announcement; one for each process."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable

import structlog

from services.store.index.announcer import Announcer
from services.store.index.group_commit import GroupCommit
from services.store.index.header_orders import HeaderOrders
from services.store.metrics.counters import StoreCounters
from services.store.objects.disk_space import DiskSpace
from services.store.objects.durable_folder import ObjectFolder
from services.store.scp.admission import admitted_addresses, admitted_titles, server_tls
from services.store.scp.commitment_reports import ReportKeeper
from services.store.scp.server import StoreScp
from services.store.store_object import CStoreHandler
from shared.broker.factory import open_broker
from shared.broker.port import Broker
from shared.database.clock import DatabaseClock
from shared.database.session import Database, open_database
from shared.lifecycle import Lifecycle
from shared.logs import configure
from shared.messaging.publisher import Publisher
from shared.process.garbage import collect_rarely
from shared.service import start_spans
from shared.settings import Settings

log = structlog.get_logger(__name__)

NAME = "store"
#: Seconds by which a response precedes the sender's time-out, taken to be like our own.
RESPONSE_MARGIN_S = 10.0


class Receiver:
    """Receives on a listening socket that others may share."""

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        database: Database,
        counters: StoreCounters,
        listener: socket.socket,
        on_missed: Callable[[], None],
    ) -> None:
        """Wire the parts.

        Raises:
            RetriableError: the folder of objects cannot be written.
            PermanentError: the files for TLS cannot be used.
        """
        self._grace_s = settings.grace
        self.clock = DatabaseClock(database)
        tls = server_tls(settings)
        self.folder = ObjectFolder(settings.objects_dir, disk_space(settings))
        self.folder.open()
        self._announcer = Announcer(
            database,
            Publisher(broker, NAME),
            self.folder,
            counters,
            store_ae_title=settings.store_ae_title,
            clock=self.clock,
        )
        self.committer = GroupCommit(
            database,
            wait_s=respond_within_s(settings.dimse_timeout),
            on_committed=self._announcer.committed,
            on_missed=on_missed,
            clock=self.clock,
        )
        handler = CStoreHandler(self.folder, self.committer, counters)
        self._scp = StoreScp(
            handler.handle,
            listener=listener,
            ae_title=settings.store_ae_title,
            stall_timeout_s=settings.dimse_timeout,
            idle_timeout_s=settings.store_idle_timeout,
            admit=admitted_titles(settings),
            admit_address=admitted_addresses(settings),
            open_temp_file=handler.open_temp_file,
            count=counters.add,
            note_associations=counters.associations,
            max_associations=settings.store_associations,
            max_object_bytes=settings.store_object_bytes,
            tls=tls.context if tls is not None else None,
            take_report=ReportKeeper(database, counters.add).take,
            leave_out=HeaderOrders(database).of,
        )

    def start(self, lifecycle: Lifecycle, *others: Callable[[], None]) -> None:
        """Start, and be stopped with the lifecycle; `others` start before objects come.

        What is started first is stopped last: no receipt is left behind by its committer or announcer.
        """
        lifecycle.on_stop(self.folder.close)
        self.clock.start()
        lifecycle.on_stop(self.clock.stop)
        for part in (self._announcer, self.committer):
            part.start()
            lifecycle.on_stop(lambda part=part: part.stop(self._grace_s))  # type: ignore[misc]
        for start in others:
            start()
        self._scp.start()
        lifecycle.on_stop(lambda: self._scp.stop(self._grace_s))


def disk_space(settings: Settings) -> DiskSpace:
    """Return the space on the disks of these settings."""
    database = settings.sqlite_file
    return DiskSpace(
        settings.objects_dir,
        None if database is None else database.parent,
        reserve_bytes=settings.store_reserve_bytes,
    )


def respond_within_s(dimse_timeout_s: float) -> float:
    """Return how long an object may wait to be known, in seconds, before its sender has to try again."""
    return max(dimse_timeout_s - RESPONSE_MARGIN_S, dimse_timeout_s / 2)


def main() -> int:
    """Receive beside the store service that has started this process, until it ends or closes its pipe.

    Standard input brings the settings in one line; its end is the end of the service.
    """
    collect_rarely()
    listener, descriptor, rows, row = map(int, sys.argv[1:])
    settings = Settings(**json.loads(sys.stdin.buffer.readline()))
    configure(NAME, settings.log_level)
    counters = StoreCounters(rows, row, descriptor)
    with Lifecycle() as lifecycle:
        lifecycle.install_signals()
        start_spans(NAME, lifecycle)
        threading.Thread(
            target=_stop_with_service, args=(lifecycle,), name="service watch", daemon=True
        ).start()
        database = open_database(settings.data_dir, settings.database)
        lifecycle.on_stop(database.close)
        broker = open_broker(
            settings.broker_url, settings.amqp_prefix, settings.bridge_socket, settings.broker_tls
        )
        lifecycle.on_stop(broker.close)
        receiver = Receiver(
            settings,
            broker,
            database,
            counters,
            socket.socket(fileno=listener),
            lambda: counters.add("scans_wanted"),
        )
        receiver.start(lifecycle)
        log.info("receiving", process=row)
        lifecycle.wait()
    return 0


def _stop_with_service(lifecycle: Lifecycle) -> None:
    while os.read(0, 1024):
        pass
    lifecycle.stopping.set()


if __name__ == "__main__":
    sys.exit(main())
