"""What a failure of the database means for operators: away, full, read-only, a refused login."""

from __future__ import annotations

import re

from sqlalchemy.exc import DBAPIError

from shared.errors import DatabaseAwayError

#: Codes of PostgreSQL (its documentation, appendix A) and what they mean.
_SQL_STATES = {
    "28P01": "it refuses the password",
    "28000": "it refuses the login",
    "3D000": "there is no database of this name on the server",
    "25006": "it takes no writes: it is read-only",
    "53100": "its disk is full",
    "53200": "its server is out of memory",
    "53300": "its server has no connection left",
    "57P01": "its server is shutting down",
    "57P03": "its server is starting or stopping",
}

#: Parts of the drivers' messages where there is no code (SQLite; PostgreSQL before the login).
_MESSAGES = (
    ("password authentication failed", _SQL_STATES["28P01"]),
    ("no password supplied", "it wants a password"),
    ("no pg_hba.conf entry", "it refuses the login from this address"),
    ("role ", "it refuses the login"),
    ("failed to resolve host", "its host is not known"),
    ("name or service not known", "its host is not known"),
    ("connection refused", "nothing listens at its address"),
    ("timeout expired", "its host does not respond"),
    ("the database system is starting up", _SQL_STATES["57P03"]),
    ("database or disk is full", _SQL_STATES["53100"]),
    ("no space left on device", _SQL_STATES["53100"]),
    ("readonly database", _SQL_STATES["25006"]),
    ("read-only file system", _SQL_STATES["25006"]),
    ("unable to open database file", "its file cannot be opened: check the folder and its permissions"),
    ("disk i/o error", "its disk fails, or is full"),
    ("database is locked", "another program keeps it locked"),
    ("file is not a database", "its file is no SQLite database"),
    ("database disk image is malformed", "its file is damaged: restore it from a backup"),
    ("no such table", "its tables are missing"),
)
_NO_DATABASE = re.compile(r'database "[^"]*" does not exist')


def away(error: DBAPIError) -> DatabaseAwayError:
    """Return our error for one of the driver; its text holds no password and no data."""
    driver_error = error.orig
    meaning = _meaning(getattr(driver_error, "sqlstate", None), str(driver_error).casefold())
    return DatabaseAwayError(f"database: {meaning or 'it is away'} ({type(driver_error).__name__})")


def _meaning(sql_state: object, message: str) -> str:
    if isinstance(sql_state, str) and sql_state in _SQL_STATES:
        return _SQL_STATES[sql_state]
    if _NO_DATABASE.search(message):
        return _SQL_STATES["3D000"]
    return next((meaning for part, meaning in _MESSAGES if part in message), "")
