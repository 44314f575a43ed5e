"""A data disk of 40 MB that is full: queries go on, nothing is half-written, and the disk is named."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from services.cli.client import follower
from services.cli.client.jobs import JobOutcome, QueryOrder, query_and_wait
from services.cli.output.exit_codes import AWAY, OK, CommandError
from services.retrieve.transfer import back_pressure
from shared.broker.memory.broker import MemoryBroker
from shared.contract.criteria import parse_criteria
from shared.contract.messages import WorkerHeartbeat
from shared.contract.text import StoreState
from shared.database.models import Query
from shared.database.session import Database
from shared.nodes.nodes import find_node
from shared.settings import Settings
from tests.support.jobs.retrieves import Retrieves
from tests.support.peers.studies import objects, series, study
from tests.support.servers.databases import prepare
from tests.support.services.in_process import System
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="only root can mount")


@pytest.fixture(params=["objects and database", "objects"])
def full_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Return a disk of 40 MiB for the data folder, or for the objects in it."""
    disk = tmp_path / "data" / ("objects" if request.param == "objects" else "")
    disk.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("this system lets nobody mount")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path, but_bytes: int = 0) -> Path:
    """Fill a disk but for some bytes; return the file that does."""
    filler = disk / ".filler"
    with filler.open("wb") as file:
        status = os.statvfs(disk)
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - but_bytes)
    return filler


def state_of_the_store(system: System) -> StoreState:
    """Return what the store says of itself in its heartbeat, and let it be known."""
    (state,) = [
        state
        for lifecycle in system._lifecycles.values()
        if (state := lifecycle.health.store_state()) is not None
    ]
    heartbeat = WorkerHeartbeat(service="store", worker="store-1", store=state)
    system.publisher.event(heartbeat, "worker")
    return state


@pytest.fixture
def retrieves(
    full_disk: Path, test_settings: Settings, make_system: Callable[..., System]
) -> Iterator[Retrieves]:
    """A system whose data lie on that disk; it is stopped before the disk is unmounted."""
    database = Database(test_settings.database)
    prepare(database)
    broker = MemoryBroker()
    broker.declare()
    made = Retrieves(make_system(broker, database, test_settings))
    yield made
    made.stop()
    made.system.close()
    database.close()


def test_a_full_data_disk_holds_retrieves_alone_until_there_is_space(
    full_disk: Path, retrieves: Retrieves, scripted_pacs, monkeypatch
):
    monkeypatch.setattr(back_pressure, "AGAIN_AFTER", timedelta(seconds=0.2))
    # Given all services, and a disk of which only the reserve of a tenth is free
    system = retrieves.system
    kept_study = study(series("ct_image", 5), series("rdsr_ct", 2))
    pacs = scripted_pacs([kept_study])
    retrieves.connect(pacs)
    system.start("query")
    first = system.finished_query({"types": ["CT"]})
    filler = fill(full_disk, but_bytes=3 << 20)
    state = state_of_the_store(system)
    # When
    job_id = retrieves.order(first["id"])
    wait_until(lambda: "until DoseQR's own store has space again" in retrieves.note(job_id))
    note = retrieves.note(job_id)
    second = system.finished_query({"types": ["CT"]})
    # Then
    assert "the disk of the" in state.problem
    assert "is full: 3 MiB free" in note or "is full: 2 MiB free" in note
    assert not pacs.witness.of("move")
    assert (second["status"], second["counts"]["kept"]) == ("completed", 1)
    folder = system.settings.objects_dir
    assert not list(folder.rglob("*.part"))
    assert not list(folder.rglob("*.dcm"))
    # When there is space again
    filler.unlink()
    assert state_of_the_store(system).problem == ""
    system.wait_for_end(job_id)
    # Then
    assert retrieves.job(job_id).status == "completed"
    assert {path.stem for path in folder.glob("*/*/*.dcm")} <= objects(kept_study)
    with sqlite3.connect(system.settings.data_dir / "doseqr.sqlite") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def ordered(system: System) -> JobOutcome:
    """Order a query as `doseqr query` does, and wait for its end."""
    with system.database.read() as session:
        remote, store = find_node(session, "pacs"), find_node(session, "doseqr")
    order = QueryOrder(remote, store, parse_criteria({"types": ["CT"]}), retrieve=False)
    return query_and_wait(system.database, system.broker, order)


@pytest.mark.parametrize("full_disk", ["objects and database"], indirect=True)
def test_a_query_names_the_full_disk_of_the_database_and_goes_on_with_space(
    full_disk: Path, retrieves: Retrieves, scripted_pacs, monkeypatch
):
    monkeypatch.setattr(follower, "FULL_PATIENCE_S", 0.5)
    monkeypatch.setattr(follower, "CHECK_S", 0.2)
    # Given
    system = retrieves.system
    pacs = scripted_pacs([study(series("ct_image", 5))], request_delay_s=0.5)
    retrieves.connect(pacs)
    system.start("query")
    # When somebody fills the disk in the middle of a query
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(ordered, system)
        wait_until(lambda: bool(pacs.witness.of("find")))
        filler = fill(full_disk)
        with pytest.raises(CommandError, match="The disk of the database is full") as failure:
            waiting.result(timeout=30.0)
    # Then nothing more is ordered
    with pytest.raises(CommandError, match="nothing was ordered") as refusal:
        ordered(system)
    assert (failure.value.exit_code, refusal.value.exit_code) == (AWAY, AWAY)
    # When there is space again
    filler.unlink()
    pacs.change(request_delay_s=0.0)
    # Then the query ends, and the next one is taken
    with system.database.read() as session:
        [begun] = session.scalars(select(Query.id)).all()
    system.wait_for_end(begun)
    assert system.status(begun) == "completed"
    assert ordered(system).exit_code == OK
