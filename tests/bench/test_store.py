"""Our store beside what users would run otherwise, and beside the limit, with the same files and senders."""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from shared.dicom.part10 import file_head
from tests.bench import bare_store
from tests.bench.table import print_table
from tests.bench.usage import usage_of_session
from tests.support.archives.orthanc import CONFIGURATION, Orthanc, orthancs
from tests.support.ports import free_port
from tests.support.processes.installation import Installation, Running, installed
from tests.support.services.store import DicomObject, made_object
from tests.support.waiting import wait_until

SENDERS = 4
#: Bytes and number of the objects of each sender.
SMALL, LARGE = (7_400, 250), (525_000, 30)
#: Objects that an Orthanc sends on one association.
FROM_ORTHANC = 60
OUR_STORE, LIMIT = "DoseQR (durable)", "bare socket, fsync, rename (the limit)"
#: The limit of what DoseQR promises: a renamed file may be lost unless its folder is synced, too.
DURABLE_LIMIT = "the limit, folder synced, too"
LIMITS = (LIMIT, DURABLE_LIMIT)
#: What the senders themselves take.
NULL = "DICOM, nothing kept"
#: The limit with these senders: our associations, the same files, and nothing known of them.
NULL_SYNCED = "DICOM, files synced, nothing known"
#: Goals for small objects: ahead of every peer, and at least this part of the limit with the same senders.
PART_OF_LIMIT = 0.9
#: Lets a receiver end an association and write what it had put off.
WAIT_S = 120.0

#: The machine may be busy; nothing here is a test of time.
pytestmark = pytest.mark.timeout(1200)

HEAD = ("receiver", "objects/s", "MB/s", "peak MiB", "CPU ms/object")


@dataclass(frozen=True)
class Receiver:
    """What is measured: a process that leads its session and listens."""

    name: str
    process: Running
    port: int
    count: Callable[[], int]


@dataclass(frozen=True)
class Row:
    """One receiver, measured."""

    name: str
    objects: int
    size_bytes: int
    seconds: float
    peak_mib: float
    cpu_s: float

    @property
    def rate(self) -> float:
        return self.objects / self.seconds

    def cells(self) -> tuple[object, ...]:
        megabytes = self.rate * self.size_bytes / 1e6
        return self.name, self.rate, megabytes, self.peak_mib, self.cpu_s * 1000 / self.objects


# Receivers


@pytest.fixture
def installation(tmp_path, rabbitmq_url, amqp_prefix) -> Iterator[Installation]:
    with installed(tmp_path / "installation", rabbitmq_url, amqp_prefix, fresh=True) as made:
        yield made


def receivers(installation: Installation, folder: Path) -> Iterator[Receiver]:
    """Start one receiver after the other; each ends before the next begins."""
    for begin in (_ours, _storescp, _pynetdicom, _orthanc, _bare, _bare_durable, _null, _null_synced):
        receiver = begin(installation, folder)
        _wait_until_it_listens(receiver.port)
        yield receiver
        receiver.process.close()


def _ours(installation: Installation, _folder: Path) -> Receiver:
    (process,) = installation.serve("store")
    settings = installation.settings
    return Receiver(
        OUR_STORE, process, settings.store_port, lambda: _files(settings.objects_dir, "*/*/*.dcm")
    )


def _storescp(installation: Installation, folder: Path) -> Receiver:
    port, kept = free_port(), _made(folder / "storescp")
    options = ["--fork", "--bit-preserving", "+xa", "-pdu", "131072", "-od", str(kept)]
    process = installation.run(["storescp", *options, str(port)])
    return Receiver("DCMTK storescp", process, port, lambda: _files(kept))


def _pynetdicom(installation: Installation, folder: Path) -> Receiver:
    port, kept = free_port(), _made(folder / "pynetdicom")
    command = [sys.executable, "-m", "pynetdicom", "storescp", "-q", "-od", str(kept), str(port)]
    return Receiver("pynetdicom storescp", installation.run(command), port, lambda: _files(kept))


def _orthanc(installation: Installation, folder: Path) -> Receiver:
    own = _made(folder / "orthanc-store")
    port, configuration = free_port(), own / "orthanc.json"
    text = CONFIGURATION.read_text().strip().removesuffix("}")
    own_settings = f'"DicomPort": {port}, "HttpPort": {free_port()}, "DicomAet": "KEEPER"'
    storage = f'"StorageDirectory": "{own}/storage", "IndexDirectory": "{own}/storage"'
    configuration.write_text(f"{text}, {own_settings}, {storage}}}")
    program = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
    process = installation.run([program, str(configuration)])
    return Receiver("Orthanc as store", process, port, lambda: _files(own / "storage", "??/??/*"))


def _bare(installation: Installation, folder: Path) -> Receiver:
    return _limit(LIMIT, installation, folder / "bare")


def _bare_durable(installation: Installation, folder: Path) -> Receiver:
    return _limit(DURABLE_LIMIT, installation, folder / "bare-durable", "names")


def _limit(name: str, installation: Installation, kept: Path, *options: str) -> Receiver:
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.bare_store", str(port), str(kept), *options]
    return Receiver(name, installation.run(command), port, lambda: _files(kept, "kept/*/*.dcm"))


def _null(installation: Installation, _folder: Path) -> Receiver:
    port = free_port()
    process = installation.run([sys.executable, "-m", "tests.bench.null_store", str(port)])
    return Receiver(NULL, process, port, lambda: 0)


def _null_synced(installation: Installation, folder: Path) -> Receiver:
    port, kept = free_port(), folder / "null-synced"
    command = [sys.executable, "-m", "tests.bench.null_store", str(port), str(kept)]
    return Receiver(NULL_SYNCED, installation.run(command), port, lambda: _files(kept, "kept/*/*.dcm"))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _files(folder: Path, pattern: str = "*") -> int:
    return sum(1 for _ in folder.glob(pattern))


def _wait_until_it_listens(port: int) -> None:
    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(listens)


# Senders


def folders_of_files(root: Path, size_bytes: int, number: int, *, first: int = 0) -> list[list[Path]]:
    """Write the files of each sender; every sender has a series of its own."""
    batches = []
    for sender in range(1, SENDERS + 1):
        folder = _made(root / str(sender))
        made = [
            made_object(10_000 * sender + n, size_bytes=size_bytes, series=f"1.2.826.0.1.3.{sender}")
            for n in range(first, first + number)
        ]
        batches.append([_written(folder, dicom_object) for dicom_object in made])
    return batches


def _written(folder: Path, dicom_object: DicomObject) -> Path:
    head = file_head(
        sop_class_uid=dicom_object.identity.sop_class_uid,
        sop_instance_uid=dicom_object.sop_instance_uid,
        transfer_syntax_uid=dicom_object.transfer_syntax_uid,
    )
    file = folder / f"{dicom_object.sop_instance_uid}.dcm"
    file.write_bytes(head + dicom_object.data_set)
    return file


def storescu(installation: Installation, port: int, folders: Sequence[Path]) -> None:
    """Send each folder by a storescu of its own, all concurrently."""
    command = ["storescu", "-R", "--max-send-pdu", "131072", "+sd", "127.0.0.1", str(port)]
    senders = [installation.run([*command, str(folder)]) for folder in folders]
    for sender in senders:
        assert sender.wait(600).code == 0, sender.text()[-2000:]


def send_bare(port: int, batches: Sequence[Sequence[Path]]) -> None:
    """Send each batch over a bare connection of its own, all concurrently."""
    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(lambda files: bare_store.send(port, files), batches))


def measured(receiver: Receiver, objects: int, size_bytes: int, send: Callable[[], None]) -> Row:
    """Send and measure; everything has to be there at the end."""
    before, kept = usage_of_session(receiver.process.pid), receiver.count()
    began = time.monotonic()
    send()
    seconds = time.monotonic() - began
    after = usage_of_session(receiver.process.pid)
    if receiver.name != NULL:
        wait_until(lambda: receiver.count() - kept >= objects, WAIT_S)
    return Row(receiver.name, objects, size_bytes, seconds, after.peak_mib, after.cpu_s - before.cpu_s)


def print_rows(title: str, rows: Sequence[Row], *, with_goals: bool = False) -> None:
    print_table(title, HEAD, [row.cells() for row in rows])
    if with_goals:
        rates = {row.name: row.rate for row in rows}
        ours, synced = rates.pop(OUR_STORE), rates.pop(NULL_SYNCED)
        peers = {name: rate for name, rate in rates.items() if name not in (*LIMITS, NULL)}
        best = max(peers, key=peers.__getitem__)
        met = {True: "met", False: "not met"}
        print_table(
            "Goals",
            ("goal", "x", "met"),
            [
                (f"ahead of the best peer ({best})", ours / peers[best], met[ours > peers[best]]),
                (
                    f"of the same senders' rate, files synced, nothing known: {PART_OF_LIMIT:.0%}",
                    ours / synced,
                    met[ours >= PART_OF_LIMIT * synced],
                ),
                ("the limit without DICOM, over ours", rates[LIMIT] / ours, ""),
                ("the same with folders synced", rates[DURABLE_LIMIT] / ours, ""),
            ],
        )


def _send(installation: Installation, receiver: Receiver, batches: Sequence[Sequence[Path]]) -> None:
    if receiver.name in LIMITS:
        send_bare(receiver.port, batches)
    else:
        storescu(installation, receiver.port, [files[0].parent for files in batches])


# Runs


@pytest.mark.parametrize(("size_bytes", "number"), [SMALL, LARGE], ids=["small", "large"])
def test_four_senders(installation, tmp_path, size_bytes, number):
    warm = folders_of_files(tmp_path / "warm", size_bytes, 5, first=9_000)
    batches = folders_of_files(tmp_path / "files", size_bytes, number)
    rows = []
    for receiver in receivers(installation, tmp_path / "kept"):
        send = partial(_send, installation, receiver)
        send(warm)
        rows.append(measured(receiver, SENDERS * number, size_bytes + 600, partial(send, batches)))
    title = f"{SENDERS} storescu, {SENDERS * number} objects of {(size_bytes + 600) / 1000:,.0f} KB"
    print_rows(title, rows, with_goals=size_bytes == SMALL[0])


@pytest.fixture
def source(tmp_path) -> Iterator[Orthanc]:
    """An Orthanc that holds the images that it is to send."""
    with orthancs(_made(tmp_path / "source")) as start:
        orthanc = start("SOURCE")
        (files, *_) = folders_of_files(tmp_path / "files", LARGE[0], FROM_ORTHANC)
        orthanc.add(files)
        yield orthanc


def test_an_orthanc_sends_images(installation, source, tmp_path):
    rows = []
    for receiver in receivers(installation, tmp_path / "kept"):
        if receiver.name not in (*LIMITS, NULL, NULL_SYNCED):
            source.send_to("KEEPER", "127.0.0.1", receiver.port)
            rows.append(measured(receiver, FROM_ORTHANC, LARGE[0], lambda: source.send_all("KEEPER")))
    print_rows(f"One Orthanc, {FROM_ORTHANC} objects of 525 KB on one association", rows)
