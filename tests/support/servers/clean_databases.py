"""Databases of a PostgreSQL that are emptied and lent again: a copy costs its server a fifth of a second."""

from __future__ import annotations

import uuid
from typing import Any, LiteralString

import psycopg
from psycopg.sql import SQL, Composable, Identifier

#: What a test may have changed beside rows: relations and their rights, columns, constraints, triggers, and
#: options of the database.
_SHAPE: LiteralString = """
SELECT
  (SELECT string_agg(concat(relname, relkind, relacl), ',' ORDER BY relname)
     FROM pg_class WHERE relnamespace = 'public'::regnamespace),
  (SELECT string_agg(concat(relname, '.', attname, atttypid, attnotnull), ',' ORDER BY relname, attnum)
     FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
     WHERE relnamespace = 'public'::regnamespace),
  (SELECT string_agg(concat(conname, contype), ',' ORDER BY conname)
     FROM pg_constraint WHERE connamespace = 'public'::regnamespace),
  (SELECT count(*) FROM pg_trigger),
  (SELECT count(*) FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
     WHERE datname = current_database())
"""
_TABLES: LiteralString = """
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
"""
_RESTART_SEQUENCES: LiteralString = """
SELECT setval(oid::regclass, 1, false) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
"""
_END_OTHERS: LiteralString = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class CleanDatabases:
    """Copies of a migrated database; one that a test changed otherwise than by rows is not lent again."""

    def __init__(self, server: str, template: str) -> None:
        self._server = server
        self._template = template
        self._shape: Any = None
        self._free: list[str] = []

    def take(self) -> str:
        """Return the name of a database without rows."""
        if self._free:
            return self._free.pop()
        name = _new_name()
        with self._connect() as connection:
            copy = SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(copy.format(Identifier(name), Identifier(self._template)))
        if self._shape is None:
            with self._connect(name) as connection:
                self._shape = connection.execute(_SHAPE).fetchone()
        return name

    def give_back(self, name: str) -> None:
        """End all connections to a database and empty it; nothing of the test knows its new name."""
        try:
            emptied = self._empty(name)
            if emptied:
                self._free.append(self._rename(name))
        except psycopg.Error:  # a test may forbid writing, or leave what connects again and again
            emptied = False
        if not emptied:
            self._drop(name)

    def close(self) -> None:
        """Drop those that are not lent."""
        while self._free:
            self._drop(self._free.pop())

    def _empty(self, name: str) -> bool:
        """Return whether a database is again as it was made."""
        with self._connect(name) as connection:
            connection.execute(_END_OTHERS)
            if connection.execute(_SHAPE).fetchone() != self._shape:
                return False
            tables = connection.execute(_TABLES).fetchall()
            # Rows go in any order: no foreign key is checked.
            statements: list[Composable] = [SQL("SET session_replication_role = replica")]
            statements += [SQL("DELETE FROM {}").format(Identifier(table)) for (table,) in tables]
            connection.execute(SQL("; ").join([*statements, SQL(_RESTART_SEQUENCES)]))
            return True

    def _rename(self, name: str) -> str:
        new = _new_name()
        with self._connect() as connection:
            rename = SQL("ALTER DATABASE {} RENAME TO {}")
            connection.execute(rename.format(Identifier(name), Identifier(new)))
        return new

    def _drop(self, name: str) -> None:
        with self._connect() as connection:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))

    def _connect(self, name: str | None = None) -> psycopg.Connection:
        url = f"{self._server.rpartition('/')[0]}/{name}" if name else self._server
        return psycopg.connect(url, autocommit=True)


def _new_name() -> str:
    return f"test_{uuid.uuid4().hex[:12]}"
