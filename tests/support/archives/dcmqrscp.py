"""DCMTK's dcmqrscp as a stranger's PACS."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.servers.rabbitmq import skip_or_fail
from tests.support.waiting import wait_until

MISSING = "no DCMTK: install the package dcmtk"

_INDEXED_AT_ONCE = 500

_CONFIGURATION = """\
NetworkTCPPort  = {port}
MaxPDUSize      = 16384
MaxAssociations = 16

HostTable BEGIN
{hosts}
HostTable END

VendorTable BEGIN
VendorTable END

AETable BEGIN
{ae_title}  {storage}  RW (5000, 4096mb)  ANY
AETable END
"""


class Dcmqrscp:
    """One dcmqrscp with its index in a folder of its own; destinations are fixed before it starts."""

    def __init__(self, folder: Path, ae_title: str, destinations: dict[str, tuple[str, int]]) -> None:
        self.ae_title = ae_title
        self.host = "127.0.0.1"
        self.port = free_port()
        self._folder = folder
        self._storage = folder / "storage"
        self._storage.mkdir(parents=True)
        hosts = "\n".join(
            f"{ae.lower()} = ({ae}, {host}, {port})" for ae, (host, port) in destinations.items()
        )
        (folder / "dcmqrscp.cfg").write_text(
            _CONFIGURATION.format(port=self.port, hosts=hosts, ae_title=ae_title, storage=self._storage),
            encoding="ascii",
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def storage(self) -> Path:
        """Where it keeps its files."""
        return self._storage

    def start(self) -> None:
        """Start it and wait until it listens."""
        log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(
            ["dcmqrscp", "-c", str(self._folder / "dcmqrscp.cfg")], stdout=log, stderr=log
        )
        log.close()
        wait_until(self._listens)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def add(self, files: Iterable[Path]) -> list[Path]:
        """Send files to it, each on its own; return those that it took."""
        return [path for path in files if self._send(path)]

    def lay_in(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Put files into its storage and its index; to send them takes a hundred times as long."""
        paths = []
        for uid, content in files:
            paths.append(str(self._storage / f"{uid}.dcm"))
            Path(paths[-1]).write_bytes(content)
        for start in range(0, len(paths), _INDEXED_AT_ONCE):
            command = ["dcmqridx", str(self._storage), *paths[start : start + _INDEXED_AT_ONCE]]
            subprocess.run(command, check=True, capture_output=True, timeout=1800)

    def _send(self, path: Path) -> bool:
        command = [
            "dcmsend",
            "-aec",
            self.ae_title,
            "--no-illegal-proposal",
            self.host,
            str(self.port),
            str(path),
        ]
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0

    def send_all(self, ae_title: str, study_instance_uids: Iterable[str]) -> None:
        """Send studies to a destination that it knows, as far as it can."""
        for uid in study_instance_uids:
            keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}"]
            command = [
                "movescu",
                "-S",
                "-aec",
                self.ae_title,
                "-aem",
                ae_title,
                *keys,
                self.host,
                str(self.port),
            ]
            subprocess.run(command, capture_output=True, check=False, timeout=120)


@pytest.fixture
def make_dcmqrscp(tmp_path: Path) -> Iterator[Callable[..., Dcmqrscp]]:
    """Start any number of dcmqrscp, each with its AE title and move destinations."""
    if shutil.which("dcmqrscp") is None:
        skip_or_fail(MISSING)
    started: list[Dcmqrscp] = []

    def start(ae_title: str, destinations: dict[str, tuple[str, int]]) -> Dcmqrscp:
        started.append(Dcmqrscp(tmp_path / f"dcmqrscp-{len(started)}", ae_title, destinations))
        started[-1].start()
        return started[-1]

    yield start
    for server in started:
        server.stop()
