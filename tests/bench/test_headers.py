"""Whole mammograms beside their headers: bytes on the wire and seconds, by each way that headers come.

DOSEQR_BENCH_MAMMOGRAMS is how many, on a machine with little space or time.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import delete

from shared.contract.messages import RunRetrieve
from shared.database.models import Node, NodeProfile, StoredObject
from shared.database.models.handover import HandoverObject
from simulator.archive.model import ArchiveMatch, Study
from simulator.behaviour import Behaviour
from simulator.content import RECIPES, Recipe
from simulator.dicomweb.server import DicomwebServer
from simulator.scp import ScriptedPacs
from tests.bench.counted_line import counted_line
from tests.bench.table import print_table
from tests.bench.usage import peak_of_session
from tests.support.jobs.retrieves import Retrieves
from tests.support.peers.studies import series, study
from tests.support.processes.installation import Observed, Running, installed, observed
from tests.support.waiting import wait_until

MAMMOGRAMS = int(os.environ.get("DOSEQR_BENCH_MAMMOGRAMS", "200"))
OF_ONE_STUDY = 4
ROWS, COLUMNS = 4096, 2560
PIXELS = bytes(range(256)) * (ROWS * COLUMNS * 2 // 256)

#: Goals: of the bytes of whole objects, where the node offers headers; MiB of the largest process.
SHARE, PEAK_MIB = 1 / 200, 200.0

HEAD = ("way", "content", "objects", "seconds", "MB on the wire", "of whole", "peak MiB", "goal", "met")


@dataclass(frozen=True)
class Row:
    """One retrieve, measured; `peak_mib`: of the largest process of the services so far."""

    way: str
    content: str
    seconds: float
    wire_bytes: int
    peak_mib: float


def _fill(ds: Dataset, match: ArchiveMatch) -> None:
    RECIPES["mg_image"].fill(ds, match)
    ds.Rows, ds.Columns = ROWS, COLUMNS
    ds.PixelData = PIXELS


def mammograms() -> list[Study]:
    """Return studies whose objects are made as they are sent, and kept nowhere."""
    number = max(1, MAMMOGRAMS // OF_ONE_STUDY)
    return [study(series("bench_mammogram", OF_ONE_STUDY)) for _ in range(number)]


class Bench:
    """Running services, and the nodes that they retrieve from."""

    def __init__(self, observer: Observed, services: list[Running], studies: list[Study]) -> None:
        self._observer = observer
        self._services = services
        self._studies = studies
        self._jobs = 0
        self._retrieves = Retrieves(observer)
        self._retrieves.store = observer.add_own_store()

    def rows(self, way: str, node: Node, counts: list[Callable[[], int]]) -> list[Row]:
        """Retrieve everything whole, and then everything again as headers."""
        return [self._row(way, node, content, counts) for content in ("whole", "headers")]

    def _row(self, way: str, node: Node, content: str, counts: list[Callable[[], int]]) -> Row:
        retrieves, observer = self._retrieves, self._observer
        retrieves.remote = node
        self._jobs += 1
        query_id = f"query-{self._jobs}"
        retrieves.kept(self._studies, job_id=query_id, reason="images_no_report")
        before, began = sum(count() for count in counts), time.monotonic()
        job_id = observer.command(RunRetrieve(query_id=query_id, content=content))
        wait_until(lambda: bool(observer.endings(job_id)), 1200)
        seconds = time.monotonic() - began
        wire_bytes = sum(count() for count in counts) - before
        retrieve = observer.retrieve_json(job_id)
        number = len(self._studies) * OF_ONE_STUDY
        assert (retrieve["status"], retrieve["counts"]["arrived"]) == ("completed", number)
        assert retrieve["counts"]["headers"] == (number if content == "headers" else 0)
        peak_mib = max(peak_of_session(service.pid) for service in self._services)
        self._forget()
        return Row(way, content, seconds, wire_bytes, peak_mib)

    def _forget(self) -> None:
        with self._observer.database.write() as session:
            session.execute(delete(StoredObject))
            session.execute(delete(HandoverObject))
            session.execute(delete(NodeProfile))
        for path in self._observer.settings.objects_dir.rglob("*.dcm"):
            path.unlink()


def cells(row: Row, whole: Row, *, offered: bool) -> list[object]:
    judged = row.content == "headers"
    share = row.wire_bytes / whole.wire_bytes
    goals = [f"<= {PEAK_MIB:.0f} MiB", *([f"<= 1/{1 / SHARE:.0f}"] if offered else [])] if judged else []
    met = row.peak_mib <= PEAK_MIB and (not offered or share <= SHARE)
    return [
        row.way,
        row.content,
        MAMMOGRAMS,
        row.seconds,
        row.wire_bytes / 1e6,
        f"1/{whole.wire_bytes / row.wire_bytes:.0f}",
        row.peak_mib,
        ", ".join(goals),
        ("yes" if met else "NO") if judged else "",
    ]


@pytest.mark.timeout(3600)
def test_headers_beside_whole_mammograms(rabbitmq_url, amqp_prefix, tmp_path, monkeypatch):
    # Given
    image = RECIPES["mg_image"]
    monkeypatch.setitem(RECIPES, "bench_mammogram", Recipe(image.sop_class_uid, image.modality, _fill))
    studies = mammograms()
    with contextlib.ExitStack() as stack:
        installation = stack.enter_context(
            installed(tmp_path / "house", rabbitmq_url, amqp_prefix, fresh=True)
        )
        web = stack.enter_context(DicomwebServer(studies))
        plain = stack.enter_context(ScriptedPacs(studies, ae_title="PLAIN"))
        offering = stack.enter_context(
            ScriptedPacs(studies, Behaviour(without_bulk_data=True), ae_title="OFFERING")
        )
        to_web, of_web = stack.enter_context(counted_line(web.port))
        to_plain, of_plain = stack.enter_context(counted_line(plain.port))
        to_offering, of_offering = stack.enter_context(counted_line(offering.port))
        to_store, of_store = stack.enter_context(counted_line(installation.settings.store_port))
        plain.destinations["DOSEQR"] = ("127.0.0.1", to_store)
        services = installation.serve("retrieve", "store")
        observer = stack.enter_context(observed(installation))
        observer.wait_for_consumers("retrieve", 1)
        bench = Bench(observer, services, studies)
        url = web.url.replace(f":{web.port}", f":{to_web}")
        by_get = observer.add_remote("offering", "127.0.0.1", to_offering, "OFFERING")
        with observer.database.write() as session:
            session.get_one(Node, by_get.id).retrieve_by = "get"
        # When
        rows = [
            (True, bench.rows("WADO-RS", observer.add_dicomweb("web", url), [of_web])),
            (True, bench.rows("C-GET", by_get, [of_offering])),
            (
                False,
                bench.rows(
                    "C-MOVE, left out on arrival",
                    observer.add_remote("plain", "127.0.0.1", to_plain, "PLAIN"),
                    [of_plain, of_store],
                ),
            ),
        ]
    # Then
    size = ROWS * COLUMNS * 2 / 1e6
    print_table(
        f"{MAMMOGRAMS} mammograms of {size:.0f} MB, scripted PACS",
        HEAD,
        [cells(row, pair[0], offered=offered) for offered, pair in rows for row in pair],
    )
    assert all(row.peak_mib <= PEAK_MIB for _, pair in rows for row in pair)
    assert all(pair[1].wire_bytes <= pair[0].wire_bytes * SHARE for offered, pair in rows if offered)
