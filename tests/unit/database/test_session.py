"""Connections of one process: on SQLite, threads that write take turns, so that readers find one free."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shared.database import session as session_module
from shared.database.failures import our_errors
from shared.database.session import Database
from shared.errors import DatabaseAwayError
from tests.support.servers import databases


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'some.sqlite'}")
    with made.transaction() as connection:
        connection.execute(text("CREATE TABLE numbers (number INTEGER PRIMARY KEY)"))
    yield made
    made.close()


def insert(database: Database, number: int, *, then: str = "SELECT 1") -> None:
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO numbers VALUES (:number)"), {"number": number})
        connection.execute(text(then))


def numbers(database: Database) -> set[int]:
    with database.read() as session:
        return set(session.scalars(text("SELECT number FROM numbers")))


def test_many_threads_write_one_after_the_other(database):
    # Given
    threads = [threading.Thread(target=insert, args=(database, number)) for number in range(40)]
    # When
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Then
    assert numbers(database) == set(range(40))


def test_an_error_rolls_back_and_the_next_transaction_works(database):
    # When
    with pytest.raises(IntegrityError):
        insert(database, 1, then="INSERT INTO numbers VALUES (1)")
    with pytest.raises(DatabaseAwayError):
        insert(database, 2, then="SELECT * FROM nowhere")
    insert(database, 3)
    # Then
    assert numbers(database) == {3}


def test_a_statement_alone_writes_all_its_rows_or_none(database):
    # Given
    statement = "INSERT INTO numbers SELECT value FROM json_each(?)"
    database.execute_alone(statement, ("[1, 2]",))
    # When
    with pytest.raises(IntegrityError):
        database.execute_alone(statement, ("[3, 2, 4]",))
    database.execute_alone(statement, ("[5]",))
    # Then
    assert numbers(database) == {1, 2, 5}


def test_a_statement_alone_on_a_locked_database_means_away(database, monkeypatch):
    # Given
    monkeypatch.setattr(session_module, "BUSY_TIMEOUT_S", 0.05)
    other, impatient = sqlite3.connect(str(database.file)), Database(str(database.url))
    other.execute("BEGIN IMMEDIATE")
    # When, Then
    with pytest.raises(DatabaseAwayError, match="another program keeps it locked"):
        impatient.execute_alone("INSERT INTO numbers VALUES (?)", (1,))
    other.close()
    impatient.execute_alone("INSERT INTO numbers VALUES (?)", (1,))
    impatient.close()
    assert numbers(database) == {1}


def test_a_writer_that_waits_too_long_gets_an_error(database, monkeypatch):
    # Given
    monkeypatch.setattr("shared.database.session.BUSY_TIMEOUT_S", 0.05)
    errors = []

    def write() -> None:
        try:
            insert(database, 1)
        except DatabaseAwayError as error:
            errors.append(str(error))

    # When another one is in the middle
    with database.transaction():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    # Then
    assert errors == ["database: another transaction takes too long"]
    insert(database, 2)
    assert numbers(database) == {2}


def test_a_close_in_the_middle_of_a_transaction_lets_it_end(database):
    # When
    with database.transaction() as connection:
        database.close()
        connection.execute(text("INSERT INTO numbers VALUES (1)"))
    # Then
    assert numbers(database) == {1}


def write_session(database: Database, number: int) -> None:
    with database.write() as session:
        session.execute(text("INSERT INTO numbers VALUES (:number)"), {"number": number})


def test_writers_that_wait_leave_connections_to_readers(database, monkeypatch):
    # Given more writers than the pool has connections
    monkeypatch.setattr("shared.database.session.MAX_CONNECTIONS", 4)
    small = Database(database.url.render_as_string())
    monkeypatch.setattr(small.engine.pool, "_timeout", 2.0)
    writers = [threading.Thread(target=write_session, args=(small, number)) for number in range(8)]
    # When one is in the middle of its transaction
    with small.write() as session:
        session.execute(text("INSERT INTO numbers VALUES (100)"))
        for writer in writers:
            writer.start()
        while_written = numbers(small)
    for writer in writers:
        writer.join()
    # Then
    assert while_written == set()
    assert numbers(small) == {*range(8), 100}
    small.close()


def test_a_pool_without_a_free_connection_means_away(database, monkeypatch):
    # Given
    monkeypatch.setattr("shared.database.session.MAX_CONNECTIONS", 1)
    monkeypatch.setattr("shared.database.session.POOL_TIMEOUT_S", 0.05)
    small = Database(database.url.render_as_string())
    # When / Then
    with (
        small.engine.connect(),
        pytest.raises(DatabaseAwayError, match="connections of this process are in use"),
        small.read() as session,
    ):
        session.execute(text("SELECT 1"))
    small.close()


class StateError(Exception):
    """An error of a driver with a code of PostgreSQL."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__("some text")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    "error",
    [
        PoolTimeoutError("QueuePool limit of size 5 overflow 10 reached"),
        OperationalError("", {}, StateError("08006")),
        InterfaceError("", {}, Exception("the connection is lost")),
        InternalError("", {}, StateError("25006")),
        InternalError("", {}, StateError("25P03")),
        InternalError("", {}, StateError("XX000")),
        DatabaseError("", {}, Exception("database disk image is malformed")),
        ProgrammingError("", {}, StateError("57P05")),
        ProgrammingError("", {}, Exception("closed"), connection_invalidated=True),
    ],
    ids=lambda error: f"{type(error).__name__}-{getattr(getattr(error, 'orig', None), 'sqlstate', '')}",
)
def test_what_is_not_available_now_is_one_error(error):
    with pytest.raises(DatabaseAwayError), our_errors():
        raise error


@pytest.mark.parametrize(
    "error",
    [
        ProgrammingError("", {}, StateError("42601")),
        IntegrityError("", {}, StateError("23505")),
        InternalError("", {}, StateError("25P02")),
    ],
    ids=lambda error: error.orig.sqlstate,
)
def test_a_defect_of_ours_stays_a_defect(error):
    with pytest.raises(SQLAlchemyError) as failure, our_errors():
        raise error
    assert failure.value is error


def test_no_test_migrates_a_new_sqlite_file(tmp_path, monkeypatch):
    # Given the file that opening has made, which is empty
    monkeypatch.delattr("tests.support.servers.databases.migrate")
    monkeypatch.setattr(databases, "_migrated_file", lambda: b"migrated")
    opened = Database(f"sqlite:///{tmp_path / 'new.sqlite'}")
    # When
    databases.prepare(opened)
    opened.close()
    # Then
    assert (tmp_path / "new.sqlite").read_bytes() == b"migrated"
