"""Retrieves of many objects from archives that are not ours to stores of several kinds, object by object."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pydicom
from pydicom.errors import InvalidDicomError

from shared.clock import utc_now
from shared.database.models import Node, NodeProfile
from shared.nodes.peers import address_of, peer_of
from shared.reading.retrieve_json import RetrieveJson
from simulator.archive.model import Study
from tests.support.archives.content import files_of
from tests.support.archives.orthanc import Orthanc
from tests.support.archives.storescp import ReferenceStore
from tests.support.jobs.retrieves import Retrieves
from tests.support.peers.studies import DAY, days_of, objects, series, study
from tests.support.services.in_process import System
from tests.support.services.store import data_set_in


class Archive(Protocol):
    """A PACS: where it is."""

    ae_title: str
    host: str
    port: int


@dataclass(frozen=True)
class Holdings:
    """Studies and their files: a few dose reports each, and one CT with many images."""

    studies: list[Study]
    folder: Path

    @property
    def uids(self) -> frozenset[str]:
        return objects(*self.studies)

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())

    def one_percent(self) -> frozenset[str]:
        """Return every hundredth object, at least one report and one image; none begins a list of fifty."""
        reports = sorted(objects(*self.studies, content="rdsr_ct"))
        images = sorted(objects(*self.studies, content="ct_image"))
        return frozenset(reports[7::100]) | frozenset(images[7::100])


#: A dcmqrscp has room for 500 studies, whatever its configuration says, and drops the oldest.
REPORTS_OF_A_STUDY = 5


def _reports(**fields: Any) -> Study:
    return study(*(series("rdsr_ct") for _ in range(REPORTS_OF_A_STUDY)), **fields)


def holdings(folder: Path, reports: int, images: int) -> Holdings:
    """Make studies and write their files."""
    studies = days_of(-(-reports // REPORTS_OF_A_STUDY), DAY, DAY.replace(day=28), _reports)
    made = [*studies, study(series("ct_image", images))]
    for uid, content in files_of(made):
        (folder / f"{uid}.dcm").write_bytes(content)
    return Holdings(made, folder)


def send_files(archive: Archive, folder: Path) -> None:
    """Send a folder of files to an archive with DCMTK's dcmsend."""
    program = shutil.which("dcmsend")
    assert program is not None
    command = [program, "-aec", archive.ae_title, "+sd", archive.host, str(archive.port), str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)


def lose(storage: Path, sop_instance_uids: Collection[str]) -> None:
    """Take the files of objects away behind the back of an archive that keeps DICOM files."""
    lost = set()
    for path in (file for file in storage.rglob("*") if file.is_file()):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
        except (InvalidDicomError, OSError):
            continue
        if header.get("SOPInstanceUID") in sop_instance_uids:
            lost.add(str(header.SOPInstanceUID))
            path.unlink()
    assert lost == set(sop_instance_uids)


#: Returns what arrived at a store: data sets by UID, None where it only has the UIDs.
Arrived = Callable[[], dict[str, bytes | None]]


def own(system: System) -> tuple[Node, Arrived]:
    """Return our own store."""
    system.start("store")

    def arrived() -> dict[str, bytes | None]:
        return {path.stem: data_set_in(path) for path in system.settings.objects_dir.glob("*/*/*.dcm")}

    return system.add_own_store(), arrived


def plain(system: System, store: ReferenceStore) -> tuple[Node, Arrived]:
    """Return DCMTK's storescp."""
    return system.add_store("plain", store.host, store.port, store.ae_title), lambda: dict(store.data_sets())


def orthanc(system: System, store: Orthanc) -> tuple[Node, Arrived]:
    """Return a second Orthanc."""

    def arrived() -> dict[str, bytes | None]:
        return dict.fromkeys(store.sop_instance_uids())

    return system.add_store("orthanc", store.host, store.port, store.ae_title), arrived


def retrieve(
    system: System, archive: Archive, store: Node, studies: Iterable[Study], *, lists: bool
) -> RetrieveJson:
    """Retrieve studies that a query kept; return the JSON. `lists`: the archive is known to take them."""
    retrieves = Retrieves(system)
    retrieves.remote = system.add_remote("pacs", archive.host, archive.port, archive.ae_title)
    retrieves.store = store
    if lists:
        with system.database.write() as session:
            peer = peer_of(session.get_one(Node, retrieves.remote.id), system.settings)
            data = {"series_list": 50, "image_list": 50}
            row = NodeProfile(
                node_id=retrieves.remote.id, address=address_of(peer), data=data, updated_at=utc_now()
            )
            session.add(row)
    retrieves.start()
    try:
        retrieves.kept(studies)
        with measured() as figures:
            job_id = retrieves.order()
            system.wait_for_end(job_id, timeout_s=900)
    finally:
        retrieves.stop()
    moves = len(retrieves.moves(job_id))
    sys.stdout.write(f"\n{archive.ae_title} to {store.ae_title}: {figures}; {moves} C-MOVEs\n")
    return system.retrieve_json(job_id)


@dataclass
class Figures:
    """What something took: time, and the memory of this process before and at its most."""

    seconds: float = 0.0
    before_mib: float = 0.0
    peak_mib: float = 0.0

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.before_mib:.0f} MiB before, at most {self.peak_mib:.0f} MiB"


@contextmanager
def measured() -> Iterator[Figures]:
    """Measure the block."""
    # From now on the kernel counts the peak anew (proc_pid_clear_refs(5)).
    Path("/proc/self/clear_refs").write_text("5")
    figures, began = Figures(before_mib=_peak_mib()), time.monotonic()
    yield figures
    figures.seconds, figures.peak_mib = time.monotonic() - began, _peak_mib()


def _peak_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def check(holdings: Holdings, ended: RetrieveJson, arrived: Arrived, lost: Collection[str] = ()) -> None:
    """Compare what arrived, object by object, and the ledger with what must be."""
    there = arrived()
    assert set(there) == holdings.uids - set(lost)
    for path in holdings.files:
        if there.get(path.stem) is not None:
            assert there[path.stem] == data_set_in(path), path.stem
    assert {entry["sop_instance_uid"] for entry in ended["missing"]} == set(lost)
    assert ended["status"] == ("incomplete" if lost else "completed")
    assert ended["counts"]["asked"] == len(holdings.uids)
    assert ended["counts"]["arrived"] == len(holdings.uids) - len(lost)
