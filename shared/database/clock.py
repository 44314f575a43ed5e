"""One time for all workers: that of the database server, whatever their machines believe.

Leases, due times and budgets are compared by one worker with what another has written. A machine whose clock
is an hour off, or is set while it works, would otherwise take what others hold, or wait for an hour.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import text

from shared.clock import utc_now
from shared.database.session import Database
from shared.errors import DatabaseAwayError
from shared.process.periodic import Repeating

log = structlog.get_logger(__name__)

#: Seconds between two readings of the server's time; between them the monotonic clock counts on.
READ_INTERVAL_S = 30.0

#: The least difference that is logged.
LOG_FROM = timedelta(seconds=5)


class DatabaseClock:
    """The time of the database server, in UTC, as a `Clock`; with SQLite, which has no server, the system's.

    Until the first reading it is the system's time.
    """

    def __init__(self, database: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._monotonic = monotonic
        #: The server's time, and the monotonic time in seconds at which it was read.
        self._read_at: tuple[datetime, float] | None = None
        self._repeating = Repeating("database clock", READ_INTERVAL_S, self.read)

    def __call__(self) -> datetime:
        """Return the time now."""
        if self._read_at is None:
            return utc_now()
        read, at = self._read_at
        return read + timedelta(seconds=self._monotonic() - at)

    def start(self) -> None:
        """Read the server's time now, and every 30 seconds from a thread."""
        if self._database.is_sqlite:
            return
        try:
            self.read()
        except DatabaseAwayError as error:
            log.warning("the time of the database was not read", error=str(error))
        else:
            self._log_difference()
        self._repeating.start()

    def stop(self) -> None:
        """Stop reading it."""
        self._repeating.stop()

    def read(self) -> None:
        """Read the server's time.

        Raises:
            DatabaseAwayError: it cannot be reached.
        """
        with self._database.read_outside() as session:
            session.connection()
            began = self._monotonic()
            read: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
            ended = self._monotonic()
        self._read_at = read.astimezone(UTC), (began + ended) / 2

    def _log_difference(self) -> None:
        difference = utc_now() - self()
        if abs(difference) >= LOG_FROM:
            log.warning(
                "the clocks of this machine and of the database differ; the database's counts",
                ahead_s=round(difference.total_seconds(), 1),
            )
