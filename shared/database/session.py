"""Engines and sessions: SQLite and PostgreSQL, short transactions, errors of ours."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from functools import partial
from pathlib import Path

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    IntegrityError,
    InvalidatePoolError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from shared.database.failures import our_errors
from shared.errors import DatabaseAwayError, SettingsError
from shared.private_files import make_private_folder

#: `Session` is what `Database.read` and `Database.write` give; who only passes it on imports it from here.
__all__ = ["Database", "Session", "open_database"]

#: What SQLAlchemy calls the errors of SQLite's driver; the others are failures of the file.
_KINDS: dict[type[sqlite3.Error], type[DBAPIError]] = {
    sqlite3.IntegrityError: IntegrityError,
    sqlite3.OperationalError: OperationalError,
    sqlite3.ProgrammingError: ProgrammingError,
}

#: Seconds that a writer waits for another one on SQLite.
BUSY_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 10
#: Connections that a process keeps, and has at most. A thread holds one for a transaction of milliseconds,
#: and none while it waits for a PACS, the broker or a turn to write: so few serve hundreds of threads.
KEPT_CONNECTIONS = 10
MAX_CONNECTIONS = 30
#: Seconds that a thread waits for one of them.
POOL_TIMEOUT_S = 30
#: A connection that was idle for so many seconds is tried before it is used: the server may have ended it.
PING_AFTER_S = 1.0


class Database:
    """One database; gives read and write transactions; safe to use from any thread."""

    def __init__(self, url: str) -> None:
        self.url = _parsed(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine = _sqlite_engine(url) if self.is_sqlite else _server_engine(url)
        # SQLite takes the write lock at the start, or two readers that turn writers would fail each other.
        self._writing = self._engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        # PostgreSQL, without a transaction, spares two round trips for each read.
        self._outside = self._engine.execution_options(
            **({"sqlite_begin": ""} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"})
        )
        self._turn = threading.Lock()
        self._writer: Connection | None = None
        self._closed = False
        self._restrict: Callable[[Session], None] | None = None
        event.listen(self._engine, "checkin", self._returned)

    @property
    def engine(self) -> Engine:
        """The engine, for migrations."""
        return self._engine

    @property
    def description(self) -> str:
        """Where it is, for people, without any password."""
        return self.url.set(query={}).render_as_string(hide_password=True)

    @property
    def file(self) -> Path | None:
        """The file of SQLite; none for a server."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @property
    def connections(self) -> tuple[int, int, int]:
        """Connections in use, those that are idle, and how many may be in use."""
        pool = self._engine.pool
        if not isinstance(pool, QueuePool):
            return 0, 0, 0
        return pool.checkedout(), pool.checkedin(), MAX_CONNECTIONS

    def restricted(self, restrict: Callable[[Session], None]) -> Database:
        """Return the same database, whose sessions are restricted before anything is read or written."""
        view = copy(self)
        view._restrict = restrict  # noqa: SLF001 - of the same class
        return view

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session for reading; nothing is committed.

        Raises:
            DatabaseAwayError: the database cannot be reached or is locked.
        """
        with our_errors(), Session(self._engine, expire_on_commit=False, autoflush=False) as session:
            if self._restrict is not None:
                self._restrict(session)
            yield session

    @contextmanager
    def read_outside(self) -> Iterator[Session]:
        """Open a session for few reads outside of any transaction: each sees what is committed by then.

        Not for results that are read in parts, which need a transaction.

        Raises:
            DatabaseAwayError: the database cannot be reached or is locked.
        """
        assert self._restrict is None
        with our_errors(), Session(self._outside, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a transaction that commits at the end, or rolls back on an error.

        Raises:
            DatabaseAwayError: the database cannot be reached or is locked.
        """
        with (
            our_errors(),
            self._sqlite_turn(),
            Session(self._writing, expire_on_commit=False) as session,
            session.begin(),
        ):
            if self._restrict is not None:
                self._restrict(session)
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction like `write`, for statements alone: a session would take longer than they do.

        Not to be opened within another one of the same thread, nor where sessions are restricted.

        Raises:
            DatabaseAwayError: the database cannot be reached or is locked.
        """
        assert self._restrict is None
        with our_errors():
            if self.is_sqlite:
                with self._sqlite_writer() as connection, connection.begin():
                    yield connection
            else:
                with self._writing.begin() as connection:
                    yield connection

    def execute_alone(self, statement: str, parameters: Sequence[object]) -> None:
        """Execute one statement of SQLite that is a transaction by itself, by the driver.

        Each call of the driver lets other threads of Python go first: a transaction of three statements waits
        for them three times.

        Raises:
            IntegrityError: a row is there already; nothing was written.
            DatabaseAwayError: the database cannot be reached or is locked.
        """
        assert self.is_sqlite
        assert self._restrict is None
        with our_errors(), self._sqlite_writer() as writer:
            driver: sqlite3.Connection = writer.connection.driver_connection  # type: ignore[assignment]
            try:
                driver.execute(statement, parameters)
            except sqlite3.Error as error:
                kind = _KINDS.get(type(error), DatabaseError)
                raise kind(statement, None, error) from error

    @contextmanager
    def _sqlite_turn(self) -> Iterator[None]:
        """Let one thread write at a time; SQLite would let all wait, by sleeping, each with a connection."""
        if not self.is_sqlite:
            yield
            return
        if not self._turn.acquire(timeout=BUSY_TIMEOUT_S):
            raise DatabaseAwayError("database: another transaction takes too long")
        try:
            yield
        finally:
            if self._closed:
                self._drop_writer()
            self._turn.release()

    @contextmanager
    def _sqlite_writer(self) -> Iterator[Connection]:
        """Take turns with one connection, which keeps its cache."""
        with self._sqlite_turn():
            if self._writer is None:
                self._writer = self._writing.connect()
            try:
                yield self._writer
            except DBAPIError:
                self._drop_writer()
                raise

    def _drop_writer(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()

    def close(self) -> None:
        """Close all connections, and those in use as soon as they are given back."""
        self._closed = True
        if self._turn.acquire(blocking=False):
            self._drop_writer()
            self._turn.release()
        self._engine.dispose()

    def _returned(self, _connection: object, record: ConnectionPoolEntry) -> None:
        if self._closed:
            record.invalidate()


def open_database(data_dir: Path, url: str) -> Database:
    """Return the database; makes the data folder, in which that of SQLite lies."""
    make_private_folder(data_dir)
    return Database(url)


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        # The cause repeats parts of the URL, which may be parts of a password.
        raise SettingsError(
            "DOSEQR_DATABASE_URL: is not of the form postgresql+psycopg://user:password@host:port/name or "
            "sqlite:///file"
        ) from None


def _pool_size() -> dict[str, int]:
    kept = min(KEPT_CONNECTIONS, MAX_CONNECTIONS)
    return {"pool_size": kept, "max_overflow": MAX_CONNECTIONS - kept, "pool_timeout": POOL_TIMEOUT_S}


def _sqlite_engine(url: str) -> Engine:
    path = make_url(url).database
    if path and path != ":memory:":
        _keep_private(Path(path))
    connect_args = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
    engine = create_engine(url, connect_args=connect_args, hide_parameters=True, **_pool_size())
    event.listen(engine, "connect", _sqlite_connected)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _keep_private(path: Path) -> None:
    """Let only our user read the database: it holds password hashes and accession numbers.

    SQLite gives its -wal and -shm files the mode of the database. What cannot be made or changed here fails
    with a sentence once it is opened.
    """
    with suppress(OSError):
        make_private_folder(path.parent)
        path.touch(mode=0o600)
        for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            if file.exists() and file.stat().st_uid == os.geteuid():
                file.chmod(0o600)


def _sqlite_connected(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late; see _sqlite_begin
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    begin = connection.get_execution_options().get("sqlite_begin", "BEGIN")
    if begin:
        connection.exec_driver_sql(begin)


def _server_engine(url: str) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        **_pool_size(),
        # Set explicitly: from a database of encoding SQL_ASCII psycopg would give bytes for text.
        connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "client_encoding": "utf8"},
    )
    event.listen(engine, "connect", _plan_anew)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", partial(_ping_if_idle, engine.dialect))
    return engine


def _plan_anew(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Let each statement be planned for its values.

    A plan for a job of any size, which PostgreSQL makes of a statement that comes often, reads all studies of
    a large query to find some of them.
    """
    cursor = connection.cursor()
    cursor.execute("SET plan_cache_mode = force_custom_plan")
    cursor.close()
    connection.commit()


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


def _ping_if_idle(
    dialect: Dialect, connection: DBAPIConnection, record: ConnectionPoolEntry, _: object
) -> None:
    """Check a connection that was idle for a while; where it is gone, the pool makes another.

    Not each time, as `pool_pre_ping` does: a transaction of two statements would have a third one.
    """
    used_at = record.info.get("used_at")
    if used_at is None or time.monotonic() - used_at < PING_AFTER_S:
        return
    assert dialect.dbapi is not None
    try:
        dialect.do_ping(connection)
    except dialect.dbapi.Error as error:
        raise InvalidatePoolError from error
