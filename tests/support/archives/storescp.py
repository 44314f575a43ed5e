"""DCMTK's storescp, which keeps what it gets bit by bit: what an archive really sends."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pydicom
import pytest

from tests.support.archives.dcmqrscp import MISSING
from tests.support.ports import free_port
from tests.support.servers.rabbitmq import skip_or_fail
from tests.support.services.store import data_set_in
from tests.support.waiting import wait_until


class ReferenceStore:
    """A storescp with bit-preserving reception on a free port of 127.0.0.1."""

    def __init__(self, folder: Path, ae_title: str = "REFERENCE", options: Sequence[str] = ()) -> None:
        self.ae_title = ae_title
        self._options = options
        self.host = "127.0.0.1"
        self.port = free_port()
        self._folder = folder
        folder.mkdir(parents=True)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [
            "storescp",
            "--fork",
            "-aet",
            self.ae_title,
            "--bit-preserving",
            "+xa",
            "-uf",
            "-od",
            str(self._folder),
            *self._options,
        ]
        self._process = subprocess.Popen(
            [*command, str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._listens)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def data_sets(self) -> dict[str, bytes]:
        """Return the bytes of each data set by SOP Instance UID."""
        found = {}
        for path in self._folder.iterdir():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
            found[str(header.SOPInstanceUID)] = data_set_in(path)
        return found


@pytest.fixture
def make_reference(tmp_path: Path) -> Iterator[Callable[[], ReferenceStore]]:
    """Start a reference store."""
    if shutil.which("storescp") is None:
        skip_or_fail(MISSING)
    started: list[ReferenceStore] = []

    def start() -> ReferenceStore:
        started.append(ReferenceStore(tmp_path / f"reference-{len(started)}"))
        started[-1].start()
        return started[-1]

    yield start
    for store in started:
        store.stop()
