"""Retrieves without DoseQR: DCMTK's movescu with one big C-MOVE, and one C-MOVE for each object."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from shared.dicom.association.c_move import move_identifier
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.sop_classes import STUDY_ROOT_MOVE
from simulator.archive.model import Study
from tests.support.peers.pynetdicom_association import open_pynetdicom_association
from tests.support.ports import free_port
from tests.support.waiting import wait_until

_QUIET: dict[str, Any] = {
    "stdout": subprocess.DEVNULL,
    "stderr": subprocess.DEVNULL,
    "env": os.environ | {"TCP_NODELAY": "1"},
}


class PlainStore:
    """DCMTK's storescp, a process for each association, which writes what it gets and keeps it bit by bit."""

    def __init__(self, program: str, folder: Path) -> None:
        self.ae_title = "PLAIN"
        self.port = free_port()
        self.folder = folder
        options = ["--fork", "--bit-preserving", "+xa", "-pdu", "131072", "-aet", self.ae_title]
        self._process = subprocess.Popen(
            [program, *options, "-od", str(folder), str(self.port)],
            **_QUIET,
        )

    def count(self) -> int:
        """Return how many objects it holds."""
        return sum(1 for _ in self.folder.iterdir())

    def empty(self) -> None:
        """Forget what it holds."""
        for path in self.folder.iterdir():
            path.unlink()

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)


@contextlib.contextmanager
def plain_store() -> Iterator[PlainStore]:
    """Run a storescp for the time of the block."""
    program = shutil.which("storescp")
    if program is None:
        pytest.skip("no storescp: install the package dcmtk")
    with tempfile.TemporaryDirectory(prefix="doseqr-storescp-") as folder:
        store = PlainStore(program, Path(folder))
        try:
            yield store
        finally:
            store.stop()


class Destination(Protocol):
    """A store that the PACS knows."""

    @property
    def ae_title(self) -> str:
        """Its title, by which the PACS knows it."""
        ...

    def count(self) -> int:
        """Return how many objects it holds."""
        ...


@dataclass(frozen=True)
class FolderStore:
    """A store by its folder: `<study>/<series>/<object>.dcm`, or as deep."""

    ae_title: str
    folder: Path

    def count(self) -> int:
        """Return how many objects it holds."""
        return sum(1 for _ in self.folder.glob("*/*/*.dcm"))


def move_all_at_once(peer: Peer, studies: Sequence[Study], store: Destination, *, movers: int = 1) -> float:
    """Move all studies by DCMTK's movescu, one big C-MOVE for each of so many that run concurrently.

    Returns the seconds until all are there.
    """
    program = shutil.which("movescu")
    if program is None:
        pytest.skip("no movescu: install the package dcmtk")
    shares = [studies[number::movers] for number in range(movers)]
    began = time.monotonic()
    running = [subprocess.Popen(_movescu(program, peer, share, store), **_QUIET) for share in shares]
    for process in running:
        assert process.wait(300) == 0
    wait_until(lambda: store.count() >= len(studies), 60)
    return time.monotonic() - began


def _movescu(program: str, peer: Peer, studies: Sequence[Study], store: Destination) -> list[str]:
    uids = "\\".join(study.study_instance_uid for study in studies)
    keys = ["-k", "0008,0052=STUDY", "-k", f"0020,000D={uids}"]
    titles = ["-aet", peer.calling_ae_title, "-aec", peer.ae_title, "-aem", store.ae_title]
    return [program, "-S", *titles, *keys, peer.host, str(peer.port)]


def move_one_by_one(peer: Peer, studies: Sequence[Study], ae_title: str, *, keep: bool) -> float:
    """Move each object by a C-MOVE of its own; return the seconds.

    `keep`: over one association; otherwise each has its own, as is usual.
    """
    timeouts = Timeouts(10.0, 60.0)
    began = time.monotonic()
    association = None
    for study in studies:
        series = study.series[0]
        if association is None:
            association = open_pynetdicom_association(peer, [STUDY_ROOT_MOVE], timeouts)
        identifier = move_identifier(
            "IMAGE",
            [study.study_instance_uid],
            [series.series_instance_uid],
            [series.instances[0].sop_instance_uid],
        )
        *_, (final, _) = association.assoc.send_c_move(identifier, ae_title, STUDY_ROOT_MOVE)
        assert final.Status == 0
        if not keep:
            association.release()
            association = None
    if association is not None:
        association.release()
    return time.monotonic() - began
