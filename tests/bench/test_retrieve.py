"""Whole retrieves beside what the PACS itself needs, and beside one C-MOVE an object, on one Orthanc."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import delete

from shared.clock import utc_now
from shared.contract.messages import RunRetrieve
from shared.database.models import Node, NodeProfile, StoredObject
from shared.dicom.peer import Peer
from shared.nodes.peers import address_of, peer_of
from simulator.archive.model import Study
from tests.bench.movers import FolderStore, PlainStore, move_all_at_once, move_one_by_one, plain_store
from tests.bench.table import print_table
from tests.support.archives.content import files_of
from tests.support.archives.orthanc import Orthanc, orthancs
from tests.support.jobs.retrieves import Retrieves
from tests.support.peers.slow_line import slow_line
from tests.support.peers.studies import DAY, days_of, sr_only_study
from tests.support.ports import free_port
from tests.support.processes.installation import Installation, Observed, installed, observed
from tests.support.waiting import wait_until

OBJECTS = 2_000
#: One C-MOVE for each is slow: a part shows its rate.
PART = 100
ROUND_TRIPS_S = (0.0, 0.01)
#: Budgets of the node: the gentlest, the default, and that of a node that bears more.
MOVES_AT_ONCE = (1, 4, 16)

#: Goals: over the PACS's own time at most; times the rate of one C-MOVE for each object, at 10 ms.
OVER_PACS = 0.10
FASTER = 20.0

HEAD = ("plan", "objects", "seconds", "objects/s", "x PACS's time", "x one by one", "goal", "met")


@dataclass(frozen=True)
class Row:
    """One plan, measured."""

    plan: str
    objects: int
    seconds: float
    goal: str = ""
    met: str = ""

    @property
    def rate(self) -> float:
        return self.objects / self.seconds


@dataclass(frozen=True)
class Archive:
    """An Orthanc and what it holds."""

    orthanc: Orthanc
    studies: list[Study]
    mean_bytes: float


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Iterator[Archive]:
    """An Orthanc with 2,000 studies of one dose report."""
    studies = days_of(OBJECTS, DAY, DAY.replace(day=28), sr_only_study)
    with orthancs(tmp_path_factory.mktemp("bench")) as start:
        # By default it serves four concurrent associations, whatever our limit is.
        orthanc, size = start("ORTHANC", DicomThreadsCount=MOVES_AT_ONCE[-1]), 0
        for _, content in files_of(studies):
            orthanc.add_bytes(content)
            size += len(content)
        yield Archive(orthanc, studies, size / OBJECTS)


@dataclass(frozen=True)
class Line:
    """The way to the PACS and from it to a store."""

    stack: contextlib.ExitStack
    orthanc: Orthanc
    round_trip_s: float

    def port(self, port: int) -> int:
        """Return where a peer at this port is reached."""
        if not self.round_trip_s:
            return port
        return self.stack.enter_context(slow_line("127.0.0.1", port, self.round_trip_s))

    def send_to(self, ae_title: str, port: int) -> None:
        """Let the PACS know a store, as far away as the PACS is from us."""
        self.orthanc.send_to(ae_title, "127.0.0.1", self.port(port))


def know_lists(observer: Observed, node_id: int) -> None:
    """Let the node be known to take lists, as a query learns it."""
    with observer.database.write() as session:
        peer = peer_of(session.get_one(Node, node_id), observer.settings)
        data = {"series_list": 50, "image_list": 50}
        session.add(NodeProfile(node_id=node_id, address=address_of(peer), data=data, updated_at=utc_now()))


class Ours:
    """Running retrieve and store services, and the node that they retrieve from."""

    def __init__(self, observer: Observed, port: int, archive: Archive) -> None:
        self._observer = observer
        self._archive = archive
        self._retrieves = Retrieves(observer)
        self._retrieves.remote = observer.add_remote("orthanc", "127.0.0.1", port, archive.orthanc.ae_title)
        know_lists(observer, self._retrieves.remote.id)

    def job(self, plan: str, store: Node, associations: int) -> Row:
        """Run a whole retrieve to the event of its end."""
        retrieves, observer = self._retrieves, self._observer
        retrieves.store = store
        with observer.database.write() as session:
            session.get_one(Node, retrieves.remote.id).max_associations = associations
        query_id = f"{store.name}-{associations}"
        retrieves.kept(self._archive.studies, job_id=query_id)
        began = time.monotonic()
        job_id = observer.command(RunRetrieve(query_id=query_id))
        wait_until(lambda: bool(observer.endings(job_id)), 600)
        seconds = time.monotonic() - began
        retrieve = observer.retrieve_json(job_id)
        assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", OBJECTS)
        proof = retrieve["verification"]
        return Row(f"{plan}, {associations} moves at once ({proof})", OBJECTS, seconds)


def forget(observer: Observed) -> None:
    """Let what has arrived be unknown again, so that the next retrieve requests it."""
    with observer.database.write() as session:
        session.execute(delete(StoredObject))
    for path in observer.settings.objects_dir.rglob("*.dcm"):
        path.unlink()


def judge(row: Row, pacs: Row, one_by_one: Row, round_trip_s: float) -> Row:
    if round_trip_s:
        goal, met = f">= {FASTER:g}x one by one", row.rate >= one_by_one.rate * FASTER
    else:
        goal, met = f"<= {1 + OVER_PACS:g}x the PACS's", row.seconds <= pacs.seconds * (1 + OVER_PACS)
    return replace(row, goal=goal, met="yes" if met else "NO")


def cells(row: Row, pacs: Row, one_by_one: Row) -> list[object]:
    return [
        row.plan,
        row.objects,
        row.seconds,
        row.rate,
        round(row.seconds / row.objects * pacs.objects / pacs.seconds, 2),
        row.rate / one_by_one.rate,
        row.goal,
        row.met,
    ]


def measured_without_us(archive: Archive, peer: Peer, plain: PlainStore) -> list[Row]:
    """Measure the PACS's own time, and that of one C-MOVE an object: on new associations, and on one."""
    rows = [
        Row("the PACS itself: movescu, one C-MOVE", OBJECTS, move_all_at_once(peer, archive.studies, plain))
    ]
    for movers in MOVES_AT_ONCE[1:]:
        plain.empty()
        seconds = move_all_at_once(peer, archive.studies, plain, movers=movers)
        rows.append(Row(f"the PACS itself: {movers} movescu at once", OBJECTS, seconds))
    for keep, how in ((False, "new associations"), (True, "one association")):
        part = archive.studies[:PART]
        seconds = move_one_by_one(peer, part, plain.ae_title, keep=keep)
        rows.append(Row(f"one C-MOVE for each object, {how}", PART, seconds))
    plain.empty()
    return rows


def measured_into_durable_stores(
    archive: Archive, peer: Peer, line: Line, installation: Installation, folder: Path
) -> list[Row]:
    """Measure what the default budget brings into stores that sync: one that knows nothing, and ours."""
    port, movers = free_port(), MOVES_AT_ONCE[1]
    synced = FolderStore("SYNCED", folder)
    command = [sys.executable, "-m", "tests.bench.null_store", str(port), str(folder)]
    installation.run(command)
    wait_until(lambda: _listens(port))
    line.send_to(synced.ae_title, port)
    ours = FolderStore("DOSEQR", installation.settings.objects_dir)
    return [
        Row(
            f"the PACS itself: {movers} movescu at once, {where}",
            OBJECTS,
            move_all_at_once(peer, archive.studies, store, movers=movers),
        )
        for store, where in ((synced, "files synced, nothing known"), (ours, "our store"))
    ]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("round_trip_s", ROUND_TRIPS_S)
def test_whole_retrieves_beside_the_pacs_itself(
    archive: Archive, round_trip_s: float, rabbitmq_url, amqp_prefix, tmp_path
):
    with contextlib.ExitStack() as stack:
        # Given
        line = Line(stack, archive.orthanc, round_trip_s)
        plain = stack.enter_context(plain_store())
        port = line.port(archive.orthanc.port)
        line.send_to(plain.ae_title, plain.port)
        installation: Installation = stack.enter_context(
            installed(
                tmp_path / "house",
                rabbitmq_url,
                amqp_prefix,
                fresh=True,
                DOSEQR_RETRIEVE_WORKERS=str(MOVES_AT_ONCE[-1]),
            )
        )
        line.send_to("DOSEQR", installation.settings.store_port)
        # When
        peer = Peer("127.0.0.1", port, archive.orthanc.ae_title, "DOSEQR")
        rows = measured_without_us(archive, peer, plain)
        pacs, new = rows[0], rows[-2]
        installation.serve("retrieve", "store")
        observer = stack.enter_context(observed(installation))
        observer.wait_for_consumers("retrieve", 1)
        rows += measured_into_durable_stores(archive, peer, line, installation, tmp_path / "synced")
        forget(observer)
        ours = Ours(observer, port, archive)
        for associations in MOVES_AT_ONCE:
            store = observer.add_store(f"plain-{associations}", "127.0.0.1", plain.port, plain.ae_title)
            row = ours.job("ours to storescp", store, associations)
            assert plain.count() == OBJECTS
            plain.empty()
            rows.append(judge(row, pacs, new, round_trip_s))
        own = observer.add_own_store()
        for associations in MOVES_AT_ONCE[1:]:
            row = ours.job("ours to our store", own, associations)
            rows.append(judge(row, pacs, new, round_trip_s))
            forget(observer)
    # Then
    size = f"{OBJECTS:,} dose reports of {archive.mean_bytes / 1024:.1f} KB, Orthanc"
    print_table(
        f"{size}, {round_trip_s * 1000:g} ms added round trip on both ways",
        HEAD,
        [cells(row, pacs, new) for row in rows],
    )
