"""A backup that is taken while everything runs, restored elsewhere: the job in it goes on to its end."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.broker.rabbitmq.connection import remove_topology
from shared.contract.messages import ENDED, RunRetrieve
from tests.e2e.archive import wanted
from tests.e2e.slow import SOON_S, many_images
from tests.support.processes.installation import Installation, installed, observed
from tests.support.servers.databases import PrivatePostgres, find_programs, private_postgres
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(600)

SERVICES = ("store", "query", "retrieve")


class SqliteBackup:
    """The way of docs/operations.md for SQLite."""

    url = restored_url = ""

    def take(self, installation: Installation, backup: Path) -> None:
        # As `sqlite3 doseqr.sqlite ".backup FILE"` does it.
        source = installation.settings.data_dir / "doseqr.sqlite"
        with closing(sqlite3.connect(source)) as running, closing(sqlite3.connect(backup / "db")) as copy:
            running.backup(copy)

    def restore(self, installation: Installation, backup: Path) -> None:
        shutil.copy(backup / "db", installation.settings.data_dir / "doseqr.sqlite")


class PostgresBackup:
    """The way of docs/operations.md for PostgreSQL: into an empty server."""

    def __init__(self, server: PrivatePostgres, other: PrivatePostgres) -> None:
        self._server, self._other = server, other
        self.url, self.restored_url = (
            server.url.replace("postgresql://", "postgresql+psycopg://") for server in (server, other)
        )

    def take(self, installation: Installation, backup: Path) -> None:
        self._run("pg_dump", "--format=custom", f"--file={backup / 'db'}", self._server.url)

    def restore(self, installation: Installation, backup: Path) -> None:
        self._run("pg_restore", "--no-owner", f"--dbname={self._other.url}", str(backup / "db"))

    def _run(self, program: str, *arguments: str) -> None:
        programs = find_programs()
        assert programs is not None
        subprocess.run([programs / program, *arguments], check=True, capture_output=True, timeout=120)


@pytest.fixture(params=["sqlite", "postgresql"])
def way(request: pytest.FixtureRequest) -> Iterator[SqliteBackup | PostgresBackup]:
    if request.param == "sqlite":
        yield SqliteBackup()
        return
    with private_postgres() as server, private_postgres() as other:
        yield PostgresBackup(server, other)


def test_a_job_of_a_backup_goes_on_after_it_is_restored(
    tmp_path: Path, way: SqliteBackup | PostgresBackup, rabbitmq_url, amqp_prefix, scripted_pacs
) -> None:
    # Given a retrieve in its middle
    archive = many_images()
    pacs = scripted_pacs(archive)
    backup = tmp_path / "backup"
    backup.mkdir()
    with installed(tmp_path / "one", rabbitmq_url, amqp_prefix, database_url=way.url) as installation:
        installation.serve(*SERVICES)
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            query = observer.finished_query({"types": ["MG"]})
            pacs.change(store_pause_s=0.05)
            job_id = observer.command(RunRetrieve(query_id=query["id"]))
            wait_until(lambda: pacs.witness.objects_sent >= 30)
            # When the database is saved first, then the objects, as all goes on
            way.take(installation, backup)
            wait_until(lambda: pacs.witness.objects_sent >= 60)
            shutil.copytree(installation.settings.objects_dir, backup / "objects")
            assert observer.status(job_id) == "running"
        installation.kill_all()
    # And all of it is restored on another machine, with an empty broker
    other_prefix = f"test-{uuid.uuid4().hex[:12]}"
    with installed(tmp_path / "two", rabbitmq_url, other_prefix, database_url=way.restored_url) as restored:
        data = restored.settings.data_dir
        data.mkdir(parents=True)
        way.restore(restored, backup)
        shutil.copytree(backup / "objects", data / "objects")
        pacs.change(store_pause_s=0.0)
        pacs.destinations["DOSEQR"] = restored.store_address
        restored.serve(*SERVICES)
        with observed(restored) as observer:
            # Then it ends, complete
            observer.wait_for_status(job_id, *ENDED, timeout_s=SOON_S)
            retrieve = observer.retrieve_json(job_id)
            assert (retrieve["status"], retrieve["missing"]) == ("completed", [])
            assert observer.files() == wanted(archive)
            # And: files that came after the database was saved are known, and all are as received
            wait_until(
                lambda: (
                    f"{len(wanted(archive))} of {len(wanted(archive))} files are well"
                    in restored.doseqr("fsck", "--all").out
                )
            )
    remove_topology(rabbitmq_url, other_prefix)
