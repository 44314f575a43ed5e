"""A database that is closed leaves no connection open, not even one that is in use."""

from __future__ import annotations

import psycopg
from sqlalchemy import text

from shared.database.session import Database
from tests.support.waiting import wait_until


def connections_to(url: str) -> int:
    server = url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(server) as connection:
        counted = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert counted is not None
    return int(counted[0])


def test_connection_in_use_is_closed_when_it_is_given_back(postgres_url):
    # Given
    database = Database(postgres_url)

    # When
    with database.read() as session:
        session.execute(text("SELECT 1"))
        database.close()
        used = connections_to(postgres_url)

    # Then
    assert used == 1
    wait_until(lambda: connections_to(postgres_url) == 0)


def test_closed_database_can_be_used_again_and_keeps_nothing_open(postgres_url):
    # Given
    database = Database(postgres_url)
    database.close()

    # When
    with database.write() as session:
        value = session.execute(text("SELECT 1")).scalar_one()

    # Then
    assert value == 1
    wait_until(lambda: connections_to(postgres_url) == 0)
