"""Databases for the tests: SQLite files, and databases of one private PostgreSQL for the session."""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from shared.database.migrate import migrate
from shared.database.session import Database
from tests.support.ports import free_port
from tests.support.servers.certificates import Issued
from tests.support.servers.clean_databases import CleanDatabases
from tests.support.servers.rabbitmq import skip_or_fail

#: Names the folder of what the processes of a run share (session_servers.py).
TEMPLATES = "DOSEQR_TEST_TEMPLATES"
MISSING = "no PostgreSQL: install the package postgresql or set DOSEQR_TEST_POSTGRES_URL"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server's maintenance database; a server of our own unless one is given."""
    given = os.environ.get("DOSEQR_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    with private_postgres() as server:
        yield server.url


@pytest.fixture
def mortal_postgres() -> Iterator[PrivatePostgres]:
    """A server for one test, which may stop and start it."""
    with private_postgres() as server:
        yield server


@contextmanager
def private_postgres(tls: Issued | None = None) -> Iterator[PrivatePostgres]:
    """Run a server of our own; it and its data are gone afterwards. With a certificate it takes TLS only."""
    programs = find_programs()
    if programs is None:
        skip_or_fail(MISSING)
    assert programs is not None
    # Not below pytest's folder: that one belongs to root alone, and PostgreSQL does not run as root.
    folder = Path(tempfile.mkdtemp(prefix="doseqr-postgres-"))
    server = PrivatePostgres(programs, folder)
    try:
        server.make()
        if tls is not None:
            server.require_tls(tls)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def find_programs() -> Path | None:
    """Return the folder of PostgreSQL's programs; Debian keeps them off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


class PrivatePostgres:
    """A PostgreSQL server on a free port of 127.0.0.1 in a folder of its own."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._data = folder / "data"
        self._folder = folder
        self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        else:
            self._as = []
        self._options = "-c fsync=off -c max_connections=200"
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8")

    def require_tls(self, tls: Issued) -> None:
        """Refuse, from its start, every connection without TLS."""
        for name, file in (("server.crt", tls.certificate), ("server.key", tls.key)):
            copy = Path(shutil.copy(file, self._data / name))
            copy.chmod(0o600)
            if self._as:
                shutil.chown(copy, "postgres", "postgres")
        (self._data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
        self._options += " -c ssl=on"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
        options += f" {self._options}"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-l", log, "-w", "-o", options, "start")

    def stop(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._as, str(self._programs / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=self._folder,
            timeout=60,
        )


def made_once(name: str, make: Callable[[], bytes]) -> bytes:
    """Return what the first process of a run makes for all of them (pytest -n), or this one for itself."""
    folder = os.environ.get(TEMPLATES)
    if folder is None:
        return make()
    made = Path(folder, name)
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            made.write_bytes(make())
    return made.read_bytes()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """The name of a migrated database of which each test gets a copy."""
    name = f"of-port-{urlsplit(postgres_server).port}"
    return made_once(name, lambda: _make_template(postgres_server).encode()).decode()


def _make_template(server: str) -> str:
    name = f"template_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    database = Database(_url_of(server, name))
    migrate(database)
    database.close()
    return name


def _url_of(server: str, name: str) -> str:
    return server.replace("postgresql://", "postgresql+psycopg://").rpartition("/")[0] + f"/{name}"


@pytest.fixture(scope="session")
def clean_databases(postgres_server: str, postgres_template: str) -> Iterator[CleanDatabases]:
    """Copies of the template, lent to one test after the other."""
    databases = CleanDatabases(postgres_server, postgres_template)
    yield databases
    databases.close()


@pytest.fixture
def postgres_url(postgres_server: str, clean_databases: CleanDatabases) -> Iterator[str]:
    """The SQLAlchemy URL of a migrated database without rows."""
    name = clean_databases.take()
    yield _url_of(postgres_server, name)
    clean_databases.give_back(name)


@contextmanager
def copy_of(server: str, template: str) -> Iterator[str]:
    """Make a copy of a database; gives its SQLAlchemy URL, and drops it afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        yield _url_of(server, name)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@functools.cache
def _migrated_file() -> bytes:
    return made_once("sqlite", _make_migrated_file)


def _make_migrated_file() -> bytes:
    with tempfile.TemporaryDirectory(prefix="doseqr-template-") as folder:
        path = Path(folder) / "template.sqlite"
        database = Database(f"sqlite:///{path}")
        migrate(database)
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        return path.read_bytes()


def prepare(database: Database) -> None:
    """Migrate a database; where SQLite's file is empty, by a copy of one that was migrated before."""
    path = Path(database.url.database or "")
    # Database makes the file, so that it is private from the start.
    if database.is_sqlite and not (path.exists() and path.stat().st_size):
        path.write_bytes(_migrated_file())
    else:
        migrate(database)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The SQLAlchemy URL of a fresh, migrated SQLite file."""
    url = f"sqlite:///{tmp_path / 'test.sqlite'}"
    database = Database(url)
    prepare(database)
    database.close()
    return url


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    """A fresh, migrated SQLite database."""
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh, migrated database of each kind."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database of each kind."""
    database = Database(database_url)
    yield database
    database.close()
