"""Alembic migrations, run at the start of every service; one at a time, the others wait."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from shared.database.failures import away
from shared.database.session import Database
from shared.errors import DatabaseAwayError, SchemaUnknownError

#: Key of the advisory lock on PostgreSQL; any constant of ours.
_LOCK_KEY = 0xD05E


def migrate(database: Database) -> None:
    """Bring the schema to the newest version; creates the database file of SQLite.

    Raises:
        DatabaseAwayError: the database cannot be reached.
        SchemaUnknownError: its schema is none of those that this version knows.
    """
    try:
        with _alone(database) as connection:
            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            config.attributes["connection"] = connection
            _require_known(database, config, connection)
            command.upgrade(config, "head")
    except OperationalError as error:
        raise DatabaseAwayError(f"cannot open {database.description}: {away(error)}") from error
    except OSError as error:
        raise DatabaseAwayError(f"cannot open {database.description}: {error.strerror}") from error


def _require_known(database: Database, config: Config, connection: Connection) -> None:
    """Refuse a schema of another version; a worker of the version before may meet one after an upgrade."""
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_heads()
    unknown = ", ".join(sorted(set(current) - known))
    if unknown:
        raise SchemaUnknownError(
            f"{database.description} has the schema {unknown}, which belongs to another version of DoseQR: "
            "run the version that made it, or a newer one"
        )


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    if not database.is_sqlite:
        with database.engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
            yield connection
        return
    lock = Path(f"{database.url.database}.migrating")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with database.engine.begin() as connection:
            yield connection
