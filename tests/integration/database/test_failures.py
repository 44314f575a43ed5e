"""What the database cannot do is named as what it is; nothing that was sent to it stands in the error."""

from __future__ import annotations

import os
import stat

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.database.models import Node
from shared.database.session import Database
from shared.errors import DatabaseAwayError, DatabaseFullError, InvalidInputError
from tests.support.jobs.rows import a_query

SECRET = "ZZMARK"


def test_an_error_of_the_database_shows_no_parameter(database):
    # Given
    with database.write() as session:
        session.add(a_query(requested_by=SECRET))
    # When
    with pytest.raises(IntegrityError) as failure, database.write() as session:
        session.add(a_query(requested_by=SECRET))
    # Then
    assert SECRET not in str(failure.value)


@pytest.mark.parametrize("number", [2**63, 10**30])
def test_a_number_out_of_range_is_refused(database, number):
    with pytest.raises(InvalidInputError, match="out of range"), database.read() as session:
        session.get(Node, number)


def test_a_nul_character_is_refused_by_postgresql(postgres_url):
    # Given
    database = Database(postgres_url)
    # When / Then
    with pytest.raises(InvalidInputError, match="NUL character"), database.read() as session:
        session.execute(text("SELECT CAST(:name AS text)"), {"name": "a\0b"})
    database.close()


def test_a_wrong_password_is_named(postgres_url):
    # Given
    url = make_url(postgres_url).set(username="nobody-at-all", password=SECRET)
    database = Database(url.render_as_string(hide_password=False))
    # When
    with pytest.raises(DatabaseAwayError) as failure, database.read() as session:
        session.execute(text("SELECT 1"))
    # Then
    assert "refuses the" in str(failure.value)
    assert SECRET not in str(failure.value)
    database.close()


def test_a_database_that_is_not_there_is_named(postgres_url):
    # Given
    url = make_url(postgres_url).set(database="nowhere")
    database = Database(url.render_as_string(hide_password=False))
    # When / Then
    with (
        pytest.raises(DatabaseAwayError, match="no database of this name"),
        database.read() as session,
    ):
        session.execute(text("SELECT 1"))
    database.close()


def test_a_read_only_server_is_named(postgres_url):
    # Given
    database = Database(postgres_url)
    # When / Then
    with pytest.raises(DatabaseAwayError, match="read-only"), database.write() as session:
        session.execute(text("SET TRANSACTION READ ONLY; CREATE TABLE refused (number INTEGER)"))
    database.close()


def test_a_closed_port_is_named():
    # Given
    database = Database("postgresql+psycopg://doseqr@127.0.0.1:1/doseqr")
    # When / Then
    with (
        pytest.raises(DatabaseAwayError, match="nothing listens at its address"),
        database.read() as session,
    ):
        session.execute(text("SELECT 1"))
    database.close()


def fill(session: Session) -> None:
    """Let the database grow no more, and write to it."""
    pages = session.execute(text("PRAGMA page_count")).scalar_one()
    session.execute(text(f"PRAGMA max_page_count = {pages}"))
    session.execute(text("INSERT INTO texts VALUES (:content)"), {"content": "x" * 100_000})


def test_a_full_database_is_named(tmp_path):
    # Given
    database = Database(f"sqlite:///{tmp_path / 'full.sqlite'}")
    with database.write() as session:
        session.execute(text("CREATE TABLE texts (content TEXT)"))
    # When / Then
    with pytest.raises(DatabaseFullError, match="its disk is full"), database.write() as session:
        fill(session)
    database.close()


def test_a_folder_where_nothing_can_be_made_is_named(tmp_path):
    # Given
    (tmp_path / "file").write_text("")
    database = Database(f"sqlite:///{tmp_path / 'file' / 'some.sqlite'}")
    # When / Then
    with pytest.raises(DatabaseAwayError, match="cannot be opened"), database.read() as session:
        session.execute(text("SELECT 1"))
    database.close()


def test_only_our_user_may_read_the_database(tmp_path):
    # Given
    before = os.umask(0o022)
    path = tmp_path / "data" / "doseqr.sqlite"
    # When
    try:
        database = Database(f"sqlite:///{path}")
        with database.write() as session:
            session.execute(text("CREATE TABLE numbers (number INTEGER)"))
            files = list(path.parent.iterdir())
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in files}
        database.close()
    finally:
        os.umask(before)
    # Then
    assert modes == {"doseqr.sqlite": 0o600, "doseqr.sqlite-wal": 0o600, "doseqr.sqlite-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_database_that_others_may_read_is_closed_to_them(tmp_path):
    # Given
    path = tmp_path / "doseqr.sqlite"
    path.touch(mode=0o644)
    folder_mode = stat.S_IMODE(tmp_path.stat().st_mode)
    # When
    Database(f"sqlite:///{path}").close()
    # Then
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(tmp_path.stat().st_mode) == folder_mode
