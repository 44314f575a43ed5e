"""Connections that the server has ended: one that rested is replaced unseen, any other fails once."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import text

from shared.database import session as session_module
from shared.database.session import Database
from shared.errors import DatabaseAwayError


@pytest.fixture
def server_database(postgres_url):
    """Return a database of the server, with one connection in its pool."""
    database = Database(postgres_url)
    with database.read() as session:
        session.execute(text("SELECT 1"))
    yield database
    database.close()


def end_connections(url: str) -> int:
    """Let the server end all connections to a database; return how many."""
    with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://")) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    return len(ended)


def test_a_connection_that_rested_is_tried_before_it_is_used(server_database, postgres_url, monkeypatch):
    # Given
    monkeypatch.setattr(session_module, "PING_AFTER_S", 0.0)
    assert end_connections(postgres_url) == 1
    # When
    with server_database.write() as session:
        value = session.execute(text("SELECT 1")).scalar_one()
    # Then
    assert value == 1


def test_a_connection_that_ends_between_two_uses_means_that_the_database_is_away(
    server_database, postgres_url, monkeypatch
):
    # Given
    monkeypatch.setattr(session_module, "PING_AFTER_S", 3600.0)
    assert end_connections(postgres_url) == 1
    # When
    with pytest.raises(DatabaseAwayError), server_database.read() as session:
        session.execute(text("SELECT 1"))
    with server_database.read() as session:
        value = session.execute(text("SELECT 1")).scalar_one()
    # Then: the next one is new
    assert value == 1
