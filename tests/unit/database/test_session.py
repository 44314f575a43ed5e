"""Transactions of statements alone: on SQLite, threads of one process take turns."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from shared.database.session import Database
from shared.errors import DatabaseAwayError


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
