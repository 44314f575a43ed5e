"""The schema at the start of every process: made, or brought to the newest version; one at a time does it."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from shared.database.failures import our_errors
from shared.database.session import Database
from shared.errors import DatabaseAwayError, SchemaUnknownError

#: The scripts of Alembic; the name of each begins with its revision.
MIGRATIONS = Path(__file__).parent / "migrations"

_FOLLOWS = re.compile(r'^down_revision = "(\w+)"', re.MULTILINE)

#: Key of the advisory lock on PostgreSQL; any constant of ours.
_LOCK_KEY = 0xD05E


def migrate(database: Database) -> None:
    """Bring the schema to the newest version; creates the database file of SQLite.

    Raises:
        DatabaseAwayError: the database cannot be reached.
        SchemaUnknownError: its schema is none of those that this version knows.
    """
    try:
        with our_errors():
            if not _is_newest(database):
                _upgrade(database)
    except DatabaseAwayError as error:
        raise DatabaseAwayError(f"cannot open {database.description}: {error}") from error
    except OSError as error:
        raise DatabaseAwayError(f"cannot open {database.description}: {error.strerror}") from error


def newest_revision() -> str:
    """Return the revision of the newest migration: that which no other one follows.

    Read from the scripts as text, since nearly every process needs to know this and nothing else of them.
    """
    scripts = list((MIGRATIONS / "versions").glob("[0-9]*.py"))
    followed = {before[1] for script in scripts if (before := _FOLLOWS.search(script.read_text("utf-8")))}
    (newest,) = {script.name.partition("_")[0] for script in scripts} - followed
    return newest


def _is_newest(database: Database) -> bool:
    if database.is_sqlite and not Path(database.url.database or "").is_file():
        return False
    with database.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        rows = connection.execute(text("SELECT version_num FROM alembic_version"))
        return [row.version_num for row in rows] == [newest_revision()]


def _upgrade(database: Database) -> None:
    # Loaded here, since nearly every process finds the newest schema and has no use for it.
    from alembic import command, config, migration, script  # noqa: PLC0415

    with _alone(database) as connection:
        settings = config.Config()
        settings.set_main_option("script_location", str(MIGRATIONS))
        settings.attributes["connection"] = connection
        scripts = script.ScriptDirectory.from_config(settings).walk_revisions()
        current = migration.MigrationContext.configure(connection).get_current_heads()
        _require_known(database, current, {known.revision for known in scripts})
        command.upgrade(settings, "head")


def _require_known(database: Database, current: tuple[str, ...], known: set[str]) -> None:
    """Refuse a schema of another version; a worker of the version before may meet one after an upgrade."""
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
            # A table that is made anew takes its name by a rename, which a view of that table would prevent.
            connection.exec_driver_sql("PRAGMA legacy_alter_table=ON")
            yield connection
            connection.exec_driver_sql("PRAGMA legacy_alter_table=OFF")
