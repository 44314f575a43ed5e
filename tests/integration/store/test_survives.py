"""Kills, full disks, a database or a broker that is away: nothing acknowledged is lost."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.store.index import announcer, group_commit
from services.store.metrics.health import write_problem
from services.store.objects.disk_space import DiskSpace
from services.store.objects.durable_folder import ObjectFolder
from services.store.scp.receiver_process import respond_within_s
from services.store.scp.server import CannotListenError
from shared.broker.memory.broker import MemoryBroker
from shared.database.session import Database
from shared.errors import BrokerAwayError
from tests.support.jobs.rows import a_query, a_retrieve, an_expected
from tests.support.peers.storage_scu import EndedError, Scu
from tests.support.ports import free_port
from tests.support.processes.store_process import StoreProcess
from tests.support.services.store import (
    CT,
    CT_EXPLICIT,
    DicomObject,
    data_set_in,
    made_object,
    running_store,
    store_settings,
)
from tests.support.waiting import wait_until


@dataclass
class Processes:
    """Starts store processes on one data folder and port."""

    data_dir: Path
    port: int = field(default_factory=free_port)
    started: list[StoreProcess] = field(default_factory=list)

    def __call__(self, **options: Any) -> StoreProcess:
        self.started.append(StoreProcess(self.data_dir, self.port, **options))
        return self.started[-1]


@pytest.fixture
def process(tmp_path):
    processes = Processes(tmp_path / "data")
    yield processes
    for started in processes.started:
        started.close()


def visible(objects_dir: Path) -> dict[str, Path]:
    found = (path.relative_to(objects_dir) for path in objects_dir.rglob("*") if path.is_file())
    return {str(path): objects_dir / path for path in found if not path.parts[0].startswith(".")}


def send_many(scu: Scu) -> None:
    for number in range(3, 100_000):
        made_object(number).send(scu)


HEADER_SERIES = "1.2.826.0.1.3.2"


def order_headers(data_dir: Path) -> None:
    """Let a running retrieve want the headers of a series."""
    database = Database(store_settings(data_dir).database)
    with database.write() as session:
        session.add(a_query())
        session.flush()
        session.add(a_retrieve(status="running", content="headers"))
        session.flush()
        session.add(an_expected("1.2.826.0.1.2", HEADER_SERIES, "", state="asked", content="headers"))
    database.close()


def test_a_killed_store_loses_nothing_acknowledged_and_shows_nothing_half_written(process, tmp_path):
    # Given four senders in mid-association: one with objects that are written as they come, and one with
    # objects of which the header is wanted
    store_process = process()
    order_headers(process.data_dir)
    acknowledged: list[DicomObject] = []
    sent_headers: list[DicomObject] = []

    def send(batch: int) -> None:
        series = HEADER_SERIES if batch == 2 else "1.2.826.0.1.3.1"
        with Scu(process.port, [CT_EXPLICIT]) as scu:
            for number in range(1, 2000):
                size_bytes = 3 << 20 if batch == 1 else 40_000
                made = made_object(10_000 * batch + number, size_bytes=size_bytes, series=series)
                if batch == 2:
                    sent_headers.append(made)
                if made.send(scu) == 0:
                    acknowledged.append(made)

    def send_until_the_end(batch):
        with pytest.raises((EndedError, OSError)):
            send(batch)

    threads = [threading.Thread(target=send_until_the_end, args=(batch,)) for batch in range(1, 5)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(acknowledged) > 100)
    # When
    store_process.kill()
    for thread in threads:
        thread.join()
    # Then every visible file is whole, and after the next start all of them are known and still there
    objects_dir = process.data_dir / "objects"
    files = visible(objects_dir)
    assert {made.path for made in acknowledged} <= set(files)
    with running_store(process.data_dir) as store:
        wait_until(lambda: {row.path for row in store.rows().values()} == set(files))
        rows = store.rows()
        for made in set(acknowledged) - set(sent_headers):
            assert data_set_in(files[made.path]) == made.data_set
            assert rows[made.sop_instance_uid].content == "whole"
        headers = {row.path for row in rows.values() if row.content == "headers"}
        assert len(headers) > 1
        assert headers == {path for path in files if f"/{HEADER_SERIES}/" in path}
        assert all(b"DOSEQR HEADER" in data_set_in(files[path]) for path in headers)
        # And a header of which nothing was known arrives again
        assert store.send(sent_headers[-1]) == [0]
        assert store.row(sent_headers[-1].sop_instance_uid).content == "headers"
        assert not list((objects_dir / ".incoming").rglob("*.part"))
        wait_until(lambda: all(row.announced_at for row in store.rows().values()), 60)


def unread_bytes(port: int, peer_port: int) -> int:
    """Return what came to a port of 127.0.0.1 from a peer and was not read yet, as the kernel counts it."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, _, queues = line.split()[1:5]
        if (local, remote) == (f"0100007F:{port:04X}", f"0100007F:{peer_port:04X}"):
            return int(queues.split(":")[1], 16)
    raise LookupError(f"no connection from port {peer_port} to port {port}")


def test_a_stopped_store_finishes_the_object_in_hand_and_ends_by_itself(process):
    # Given an object of which half was sent
    store_process = process()
    made, other = made_object(1), made_object(2)
    with Scu(process.port, [CT_EXPLICIT]) as idle, Scu(process.port, [CT_EXPLICIT]) as scu:
        assert other.send(idle) == 0
        number = scu.accepted[CT_EXPLICIT][0]
        scu.send_fragments(number, 1, scu.command(CT, made.sop_instance_uid))
        scu.send_fragments(number, 0, made.data_set[:4000], last=False)
        wait_until(lambda: store_process.text().count('"association"') == 2)
        wait_until(lambda: unread_bytes(process.port, scu.socket.getsockname()[1]) == 0)
        # When it is to stop, and the rest comes after it has begun to
        store_process.terminate()
        wait_until(lambda: '"stopping"' in store_process.text())
        scu.send_fragments(number, 0, made.data_set[4000:])
        # Then
        assert scu.receive_response()[0] == 0x0000
        # And the association ends, however much its sender has left
        with pytest.raises((EndedError, OSError)):
            send_many(scu)
    assert store_process.wait() == 0
    assert {made.path, other.path} <= set(visible(process.data_dir / "objects"))


def test_no_space_is_reported_as_such_and_the_rest_goes_on(process):
    # Given a store that cannot write files of more than 2 MiB
    process(limit_bytes=2 << 20)
    large, small = made_object(1, size_bytes=3 << 20), made_object(2, size_bytes=1000)
    # When
    with Scu(process.port, [CT_EXPLICIT]) as scu:
        refused, comment = scu.store(CT_EXPLICIT, CT, large.sop_instance_uid, large.data_set)
        accepted = small.send(scu)
    # Then
    assert refused == 0xA700
    assert comment
    assert accepted == 0x0000
    assert set(visible(process.data_dir / "objects")) == {small.path}
    assert not list((process.data_dir / "objects" / ".incoming").rglob("*.part"))


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="only root can mount")
def test_a_full_disk_is_reported_and_survived(tmp_path):
    # Given a store whose objects lie on a disk of 1 MiB
    disk = tmp_path / "data" / "objects"
    disk.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("this system lets nobody mount")
    try:
        with running_store(tmp_path / "data") as store:
            objects = [made_object(n, size_bytes=100_000) for n in range(1, 21)]
            # When
            statuses = store.send(*objects)
            large = store.send(made_object(21, size_bytes=3 << 20))
            # Then
            assert large == [0xA700]
            assert not list((disk / ".incoming").rglob("*.part"))
            assert statuses[0] == 0x0000
            assert statuses[-1] == 0xA700
            assert set(statuses) == {0x0000, 0xA700}
            assert (
                write_problem(DiskSpace(disk, reserve_bytes=256 << 20))
                == "the disk of the objects is full: 0 MiB free"
            )
            kept = [stored for stored, status in zip(objects, statuses, strict=True) if status == 0]
            assert store.files() == {stored.path for stored in kept}
            # When there is space again
            (disk / kept[0].path).unlink()
            # Then
            assert store.send(objects[-1]) == [0]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="only root can mount")
def test_a_full_disk_of_the_database_is_reported_and_nothing_has_to_be_sent_again(tmp_path):
    # Given a database that lies on a small disk of its own
    disk = tmp_path / "database"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("this system lets nobody mount")
    url = f"sqlite:///{disk / 'doseqr.sqlite'}"
    try:
        with running_store(
            tmp_path / "data", database_url=url, dimse_timeout=1.0, store_reserve_bytes=0
        ) as store:
            assert store.send(made_object(1)) == [0]
            # When it is full
            filled = fill(disk / "other")
            numbers = iter(range(2, 100_000))
            refused = next(n for n in numbers if store.send(made_object(n)) == [0xA702])
            # Then the object is on disk
            dicom_object = made_object(refused)
            assert filled > 0
            assert dicom_object.path in store.files()
            # When there is space again
            (disk / "other").unlink()
            # Then it becomes known and is announced
            wait_until(lambda: store.knows(dicom_object.sop_instance_uid), 60)
            wait_until(lambda: dicom_object.sop_instance_uid in store.announced.uids)
            assert store.send(dicom_object) == [0]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="only root can mount")
@pytest.mark.parametrize("name", ["objects", "database"])
def test_objects_are_refused_while_only_the_reserve_is_free(tmp_path, name):
    # Given two disks of 8 MiB, of which a tenth is the reserve
    disks = {"objects": tmp_path / "data" / "objects", "database": tmp_path / "database"}
    with contextlib.ExitStack() as stack:
        for disk in disks.values():
            disk.mkdir(parents=True)
            mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
            if subprocess.run(mount, check=False).returncode:
                pytest.skip("this system lets nobody mount")
            stack.callback(subprocess.run, ["umount", str(disk)], check=True)
        url = f"sqlite:///{disks['database'] / 'doseqr.sqlite'}"
        with running_store(tmp_path / "data", database_url=url) as store:
            assert store.send(made_object(1)) == [0]
            # When no more than the reserve is free on one of them
            filler = disks[name] / ".filler"
            with filler.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, free_bytes(disks[name]) - (512 << 10))
            with store.scu(CT_EXPLICIT) as scu:
                small, large = made_object(2), made_object(3, size_bytes=2 << 20)
                statuses = [
                    scu.store(CT_EXPLICIT, CT, made.sop_instance_uid, made.data_set)
                    for made in (small, large)
                ]
            # Then both are refused with the disk by name, and nothing of them is there
            assert {status for status, _ in statuses} == {0xA700}
            assert all(f"the disk of the {name} is full" in comment for _, comment in statuses)
            assert store.files() == {made_object(1).path}
            assert f"the disk of the {name} is full" in store.lifecycle.health.troubles()["objects"]
            state = store.lifecycle.health.store_state()
            assert state is not None
            assert state.refused_recently == 2
            assert f"the disk of the {name} is full" in state.problem
            # And the database still takes what others write
            with store.database.write() as session:
                session.add(a_query("q1"))
            # When there is space again
            filler.unlink()
            # Then
            assert store.send(made_object(2)) == [0]


def free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def fill(file: Path) -> int:
    """Write until there is no space; returns how many bytes were written."""
    written = 0
    with file.open("wb", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            written += out.write(bytes(4096))
    return written


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="only root can mount")
def test_a_folder_that_turns_read_only_is_reported_and_survived(tmp_path):
    # Given
    disk = tmp_path / "data" / "objects"
    with running_store(tmp_path / "data") as store:
        before, small, large = made_object(1), made_object(2), made_object(3, size_bytes=3 << 20)
        assert store.send(before) == [0]
        # When
        if subprocess.run(["mount", "--bind", str(disk), str(disk)], check=False).returncode:
            pytest.skip("this system lets nobody mount")
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True)
            # Then small ones and those that are written as they come are refused
            assert store.send(small, large) == [0xA701, 0xA701]
            assert (
                write_problem(DiskSpace(disk, reserve_bytes=256 << 20)) == "objects cannot be written: EROFS"
            )
        finally:
            subprocess.run(["umount", str(disk)], check=True)
        # When it can be written again, then
        assert store.send(small, large) == [0, 0]
        assert store.files() == {before.path, small.path, large.path}
        assert not write_problem(DiskSpace(disk))


def test_a_short_absence_of_the_database_is_waited_for(tmp_path):
    # Given
    with running_store(tmp_path / "data") as store:
        store.send(made_object(1))
        with sqlite3.connect(store.sqlite_file, isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            sender = threading.Thread(target=lambda: statuses.extend(store.send(made_object(2))))
            statuses: list[int] = []
            # When
            sender.start()
            wait_until(lambda: made_object(2).path in store.files())
            # Then on disk, but not known: not acknowledged
            assert not statuses
            other.execute("ROLLBACK")
            sender.join()
        other.close()
        assert statuses == [0]
        assert store.knows(made_object(2).sop_instance_uid)


def test_a_long_absence_of_the_database_is_reported_and_the_object_is_found_later(tmp_path):
    # Given responses within half a second
    dicom_object = made_object(1)
    with running_store(tmp_path / "data", dimse_timeout=1.0) as store:
        assert store.send(made_object(2)) == [0]
        other = sqlite3.connect(store.sqlite_file, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        # When
        with store.scu(CT_EXPLICIT) as scu:
            refused, comment = scu.store(
                CT_EXPLICIT, CT, dicom_object.sop_instance_uid, dicom_object.data_set
            )
            again = dicom_object.send(scu)
        # Then
        assert refused == again == 0xA702
        assert "database" in comment
        assert dicom_object.path in store.files()
        # When it is back
        other.execute("ROLLBACK")
        other.close()
        # Then nobody has to send it again
        wait_until(lambda: store.knows(dicom_object.sop_instance_uid), 60)
        wait_until(lambda: dicom_object.sop_instance_uid in store.announced.uids)
        assert store.send(dicom_object) == [0]


def test_the_response_comes_before_the_sender_has_timed_out():
    # When / Then
    assert respond_within_s(60.0) == 50.0
    assert respond_within_s(5.0) == 2.5


def test_files_that_the_index_misses_are_indexed_and_rows_without_a_file_go(tmp_path):
    # Given one object without a row, one row without a file, and files that are no objects
    lost, gone, good = made_object(1), made_object(2), made_object(3)
    with running_store(tmp_path / "data") as store:
        store.send(lost, gone, good)
        wait_until(lambda: len(store.announced.uids) == 3)
        objects_dir = store.objects_dir
        with sqlite3.connect(store.sqlite_file) as connection:
            connection.execute("DELETE FROM stored_objects WHERE path = ?", (lost.path,))
        connection.close()
    (objects_dir / gone.path).unlink()
    (objects_dir / good.path).with_name("9.9.dcm").write_bytes(b"no object")
    shutil.copy(objects_dir / good.path, (objects_dir / good.path).with_name("9.8.dcm"))
    (objects_dir / "notes.txt").write_text("somebody's")
    # When
    with running_store(tmp_path / "data") as store:
        # Then
        wait_until(lambda: set(store.rows()) == {lost.sop_instance_uid, good.sop_instance_uid})
        wait_until(lambda: store.announced.uids == [lost.sop_instance_uid])
        assert store.row(good.sop_instance_uid).received_count == 1


def test_a_second_store_process_leaves_the_first_ones_work_alone(tmp_path):
    # Given a living process, and a dead one that has left something
    living, dead = ObjectFolder(tmp_path), tmp_path / ".incoming" / "dead"
    living.open()
    own = next(path for path in (tmp_path / ".incoming").iterdir() if path.is_dir())
    (own / "1.part").write_bytes(b"being written")
    dead.mkdir()
    (dead / "1.part").write_bytes(b"half")
    # When
    second = ObjectFolder(tmp_path)
    second.open()
    # Then
    assert (own / "1.part").exists()
    assert not dead.exists()
    second.close()
    living.close()


class FlakyBroker(MemoryBroker):
    """Away when a test wants it."""

    away = False

    def event(self, message):
        if self.away:
            raise BrokerAwayError("away")
        super().event(message)


def test_what_was_stored_while_the_broker_was_away_is_announced_later_and_once(tmp_path):
    # Given
    broker = FlakyBroker()
    objects = [made_object(n) for n in range(1, 31)]
    with running_store(tmp_path / "data", broker=broker) as store:
        broker.away = True
        # When
        statuses = store.send(*objects)
        # Then storing goes on
        assert statuses == [0] * 30
        assert store.announced.uids == []
        assert not any(row.announced_at for row in store.rows().values())
        # When
        broker.away = False
        # Then
        wait_until(lambda: len(store.announced.uids) >= 30)
        assert sorted(store.announced.uids) == sorted(stored.sop_instance_uid for stored in objects)
    broker.close()


def test_what_a_dead_store_did_not_announce_is_announced_by_the_next(tmp_path):
    # Given
    broker = FlakyBroker()
    broker.away = True
    dicom_object = made_object()
    with running_store(tmp_path / "data", broker=broker) as store:
        store.send(dicom_object)
    # When
    broker.away = False
    with running_store(tmp_path / "data", broker=broker) as store:
        # Then
        wait_until(lambda: store.announced.uids == [dicom_object.sop_instance_uid], 60)
        wait_until(lambda: store.row(dicom_object.sop_instance_uid).announced_at is not None)
    broker.close()


def test_a_receipt_after_the_announcement_is_announced_again(tmp_path):
    # Given
    dicom_object = made_object()
    with running_store(tmp_path / "data") as store:
        store.send(dicom_object)
        wait_until(lambda: store.announced.uids == [dicom_object.sop_instance_uid])
        # When
        sent_at = datetime.now(tz=UTC)
        store.send(dicom_object)
        # Then a retrieve that waits for a new receipt gets it
        wait_until(lambda: store.announced.uids == [dicom_object.sop_instance_uid] * 2)
        assert store.row(dicom_object.sop_instance_uid).last_received_at >= sent_at


def test_a_taken_port_is_named(tmp_path):
    # Given
    with running_store(tmp_path / "one") as store:
        # When
        with (
            pytest.raises(CannotListenError) as caught,
            running_store(tmp_path / "two", store_port=store.port),
        ):
            pass
        # Then
        assert f"127.0.0.1:{store.port} is taken" in str(caught.value)
        assert store.send(made_object()) == [0]


def test_a_peer_that_stalls_within_a_pdu_is_let_go(tmp_path):
    # Given
    with running_store(tmp_path / "data", dimse_timeout=0.5) as store, store.scu(CT_EXPLICIT) as scu:
        # When half a PDU is all that ever comes
        scu.socket.sendall(b"\x04\0\0\0\x10\0\0\0")
        # Then it is aborted, long before a sender that is idle would be
        assert scu.read_pdu()[0] == 7


def test_a_stop_does_not_wait_for_a_connection_that_sends_nothing(tmp_path):
    # Given
    import socket

    began = time.monotonic()
    with (
        running_store(tmp_path / "data", grace=60.0) as store,
        socket.create_connection(("127.0.0.1", store.port)) as connection,
    ):
        connection.sendall(b"\x01\0\0\0\x01\0half a request")
        store.send(made_object())
    # Then
    assert time.monotonic() - began < 50


def test_nothing_depends_on_the_clock_of_the_wall(tmp_path, monkeypatch):
    # Given a clock that jumps back an hour with every look
    numbers = iter(range(1_000_000))
    now = datetime(2026, 3, 1, tzinfo=UTC)

    def clock() -> datetime:
        return now - timedelta(hours=next(numbers))

    monkeypatch.setattr(group_commit.GroupCommit.__init__, "__kwdefaults__", {"clock": clock})
    monkeypatch.setattr(
        announcer.Announcer.__init__,
        "__kwdefaults__",
        {"sweep_s": 0.5, "sweep_age_s": 1.0, "clock": clock},
    )
    with running_store(tmp_path / "data") as store:
        objects = [made_object(n) for n in range(1, 21)]
        # When
        statuses = store.send(*objects, *objects)
        # Then
        assert statuses == [0] * 40
        wait_until(lambda: set(store.announced.uids) == {stored.sop_instance_uid for stored in objects})
        assert all(row.received_count == 2 for row in store.rows().values())
