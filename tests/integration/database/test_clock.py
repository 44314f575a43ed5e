"""Workers whose machines disagree about the time agree on the database's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from shared.clock import utc_now
from shared.database.clock import DatabaseClock
from shared.database.session import Database

WITHIN = timedelta(seconds=20)


class Machine:
    """A machine's monotonic clock, set by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def database(postgres_url):
    opened = Database(postgres_url)
    yield opened
    opened.close()


def server_time(database: Database) -> datetime:
    with database.read() as session:
        now: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now


def test_time_is_the_servers_whatever_the_machine_believes(database, monkeypatch):
    # Given
    monkeypatch.setattr("shared.database.clock.utc_now", lambda: utc_now() - timedelta(hours=1))
    clock = DatabaseClock(database)

    # When
    clock.start()
    clock.stop()

    # Then
    assert abs(clock() - server_time(database)) < WITHIN
    assert clock().tzinfo is UTC


def test_time_counts_on_by_the_monotonic_clock_until_the_server_is_read_again(database):
    # Given
    machine = Machine()
    clock = DatabaseClock(database, machine)
    clock.read()
    first = clock()

    # When
    machine.seconds += 90.0

    # Then
    assert clock() - first == timedelta(seconds=90)

    # When
    clock.read()

    # Then
    assert abs(clock() - server_time(database)) < WITHIN


def test_time_is_the_systems_until_the_server_responds():
    # Given
    away = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    clock = DatabaseClock(away)

    # When
    clock.start()
    clock.stop()

    # Then
    assert abs(clock() - utc_now()) < WITHIN
    away.close()


def test_time_is_the_systems_on_sqlite(sqlite_url):
    # Given
    database = Database(sqlite_url)
    clock = DatabaseClock(database)

    # When
    clock.start()
    clock.stop()

    # Then
    assert abs(clock() - utc_now()) < WITHIN
    database.close()
