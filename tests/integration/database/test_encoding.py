"""A PostgreSQL whose databases have no encoding serves like any other."""

from __future__ import annotations

import uuid

import psycopg
import pytest
from sqlalchemy import text

from shared.database.migrate import migrate
from shared.database.session import Database


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "UTF8"])
def test_text_comes_back_as_text_whatever_the_encoding_of_the_database(
    postgres_server: str, encoding: str
) -> None:
    # Given
    name = f"encoding_{uuid.uuid4().hex[:12]}"
    make = f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"
    url = postgres_server.replace("postgresql://", "postgresql+psycopg://").rpartition("/")[0]
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(make)
        database = Database(f"{url}/{name}")
        try:
            # When
            migrate(database)
            with database.read() as session:
                stored = session.scalar(text("SELECT :said"), {"said": "Röntgen"})
        finally:
            database.close()
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    # Then
    assert stored == "Röntgen"
