"""What a failure of the database means for operators: away, full, read-only, a refused login."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shared.errors import DatabaseAwayError, DatabaseFullError, InvalidInputError

#: PostgreSQL refuses a NUL character and a number out of range, the driver of SQLite only the number.
_NOT_STORABLE = "holds a NUL character or a number out of range"

#: Classes of PostgreSQL's codes for a server that cannot do its work now, whatever the driver makes of them:
#: connection, resources, operator intervention, system, internal error.
_AWAY_CLASSES = frozenset({"08", "53", "57", "58", "XX"})
#: And codes of other classes: only reads are allowed; an idle transaction was ended.
_AWAY_STATES = frozenset({"25006", "25P03"})

_DISK_FULL = "its disk is full"

#: Codes of PostgreSQL (its documentation, appendix A) and what they mean.
_SQL_STATES = {
    "28P01": "it refuses the password",
    "28000": "it refuses the login",
    "3D000": "there is no database of this name on the server",
    "25006": "it takes no writes: it is read-only",
    "53100": _DISK_FULL,
    "53200": "its server is out of memory",
    "53300": "its server has no connection left",
    "57P01": "its server is shutting down",
    "57P03": "its server is starting or stopping",
    "XX000": "its server reports an internal error: see its log",
    "XX001": "its data are damaged: restore it from a backup",
    "XX002": "an index of it is damaged: rebuild it by REINDEX",
}

#: Parts of the drivers' messages where there is no code (SQLite; PostgreSQL before the login).
_MESSAGES = (
    (
        "certificate verify failed",
        "its certificate is not accepted: name its authority in sslrootcert of its URL",
    ),
    ("does not match host name", "its certificate is for another name than the host in its URL"),
    ("root certificate file", "the file of sslrootcert in its URL cannot be read"),
    ("server does not support ssl", "it does not speak TLS"),
    ("valid client certificate", "it wants a client certificate: set sslcert and sslkey in its URL"),
    ("password authentication failed", _SQL_STATES["28P01"]),
    ("no password supplied", "it wants a password"),
    (
        "no encryption",
        "it refuses the login from this address without TLS: add sslmode=verify-full to its URL",
    ),
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


@contextmanager
def our_errors() -> Iterator[None]:
    """Rename what the driver and the pool of connections raise; a defect of ours passes as it is.

    Raises:
        DatabaseAwayError: the database, or a connection to it, is not available now.
        InvalidInputError: a value cannot be stored.
    """
    try:
        yield
    except PoolTimeoutError as error:
        raise DatabaseAwayError(
            "database: all connections of this process are in use for too long"
        ) from error
    except DisconnectionError as error:
        raise DatabaseAwayError("database: its connections end as soon as they are made") from error
    except DataError as error:
        raise InvalidInputError("", _NOT_STORABLE) from error
    except OverflowError as error:
        if "SQLite" not in str(error):
            raise
        raise InvalidInputError("", _NOT_STORABLE) from error
    except DBAPIError as error:
        if _is_away(error):
            raise away(error) from error
        raise


def _is_away(error: DBAPIError) -> bool:
    if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
        return True
    state = getattr(error.orig, "sqlstate", None) or ""
    # A damaged file of SQLite is of no kind but the general one.
    return state[:2] in _AWAY_CLASSES or state in _AWAY_STATES or type(error) is DatabaseError


def away(error: DBAPIError) -> DatabaseAwayError:
    """Return our error for one of the driver; its text holds no password and no data."""
    driver_error = error.orig
    meaning = _meaning(getattr(driver_error, "sqlstate", None), str(driver_error).casefold())
    kind = DatabaseFullError if meaning == _DISK_FULL else DatabaseAwayError
    return kind(f"database: {meaning or 'it is away'} ({type(driver_error).__name__})")


def _meaning(sql_state: object, message: str) -> str:
    if isinstance(sql_state, str) and sql_state in _SQL_STATES:
        return _SQL_STATES[sql_state]
    if _NO_DATABASE.search(message):
        return _SQL_STATES["3D000"]
    return next((meaning for part, meaning in _MESSAGES if part in message), "")
