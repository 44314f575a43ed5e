"""The migrations make the tables of the models, from nothing and from a database of the version before."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import make_url, text

from shared.database.migrate import MIGRATIONS, migrate, newest_revision
from shared.database.models import Base, Node, Query, QueryTask, Retrieve, RetrieveObject, StoredObject, User
from shared.database.session import Database
from shared.errors import SchemaUnknownError
from tests.support.servers.databases import copy_of, prepare

#: A database of version 0.1 with some rows, as SQL.
VERSION_0_1 = Path(__file__).parent / "version_0_1"


def differences(database: Database) -> list[object]:
    """Return what distinguishes the tables of a database from those of the models."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))


@pytest.fixture(params=["sqlite", "postgresql"])
def old_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database as version 0.1 left it."""
    script = (VERSION_0_1 / f"{request.param}.sql").read_text(encoding="utf-8")
    if request.param == "sqlite":
        path = tmp_path / "old.sqlite"
        connection = sqlite3.connect(path)
        connection.executescript(script)
        connection.close()
        database = Database(f"sqlite:///{path}")
        yield database
        database.close()
        return
    with copy_of(request.getfixturevalue("postgres_server"), "template0") as url:
        plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain) as server:
            server.execute(script.encode())
        database = Database(url)
        yield database
        database.close()


def test_the_newest_schema_is_that_of_the_models(database: Database):
    assert differences(database) == []


def test_the_migrations_have_one_beginning_and_one_end():
    # Given
    scripts = ScriptDirectory(str(MIGRATIONS))
    # When / Then
    assert len(scripts.get_bases()) == 1
    assert len(scripts.get_heads()) == 1


def test_every_script_is_named_after_its_revision():
    # Given
    scripts = ScriptDirectory(str(MIGRATIONS))
    # When
    named = [Path(script.path).name.partition("_")[0] for script in scripts.walk_revisions()]
    # Then
    assert named == [script.revision for script in scripts.walk_revisions()]
    assert newest_revision() == scripts.get_current_head()


def test_alembic_is_not_loaded_for_the_newest_schema(database: Database):
    # Given
    url = database.url.render_as_string(hide_password=False)
    code = (
        "import sys; from shared.database.migrate import migrate; "
        "from shared.database.session import Database; "
        "database = Database(sys.argv[1]); migrate(database); database.close(); "
        "print('alembic' in sys.modules)"
    )
    # When
    run = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True)
    # Then
    assert run.stdout.strip() == "False"


def test_sqlite_files_of_tests_are_copies_of_one(sqlite_database, tmp_path, monkeypatch):
    # Given
    monkeypatch.setattr("tests.support.servers.databases.migrate", lambda _: pytest.fail("migrated again"))
    other = Database(f"sqlite:///{tmp_path / 'other.sqlite'}")
    # When
    prepare(other)
    # Then
    assert differences(other) == []
    other.close()


def test_a_database_of_the_version_before_becomes_the_newest(old_database):
    # When
    migrate(old_database)
    # Then
    assert differences(old_database) == []


def test_rows_of_the_version_before_stay_as_they_are(old_database):
    # When
    migrate(old_database)
    # Then
    with old_database.read() as session:
        query, rerun = session.get_one(Query, "query-1"), session.get_one(Query, "query-2")
        assert (query.status, query.criteria) == ("running", {"types": ["CT"], "date_from": "2024-05-01"})
        assert (rerun.round, len(rerun.asked_again or [])) == (1, 1)
        assert session.get_one(Retrieve, "query-2-r").verification == "receipts"
        assert [task.failures for task in session.query(QueryTask)] == [2]
        assert [row.sop_instance_uid for row in session.query(RetrieveObject)] == ["1.2.3.4.5"]
        assert session.get_one(StoredObject, "1.2.3.4.5").size_bytes == 3_000_000_000
        assert [node.name for node in session.query(Node).order_by(Node.id)] == ["pacs", "doseqr"]
        assert [user.name for user in session.query(User)] == ["admin"]


def test_ids_go_on_after_a_migration(old_database):
    # Given
    migrate(old_database)
    # When
    with old_database.write() as session:
        moment = session.get_one(Query, "query-1").requested_at
        node = Node(kind="remote", name="new", host="h", port=104, ae_title="NEW", created_at=moment)
        session.add(node)
        session.flush()
        # Then
        assert node.id == 3


def test_a_database_of_a_newer_version_is_refused_with_a_sentence(old_database):
    # Given
    with old_database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    # When / Then
    with pytest.raises(SchemaUnknownError, match=r"9999.*another version of DoseQR"):
        migrate(old_database)


def test_a_service_of_an_older_version_ends_with_a_sentence_and_code_4(old_database, tmp_path):
    # Given
    with old_database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    environment = {
        "DOSEQR_DATA_DIR": str(tmp_path / "data"),
        "DOSEQR_DATABASE_URL": old_database.url.render_as_string(hide_password=False),
    }
    # When
    service = subprocess.run(
        [sys.executable, "-m", "services.echo.main"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # Then
    assert service.returncode == 4
    assert "belongs to another version of DoseQR" in service.stderr
    assert "Traceback" not in service.stderr
