"""Whole queries beside the classic plan, and raw matches beside DCMTK's findscu, on one Orthanc.

DOSEQR_BENCH_STUDIES is how many, a multiple of 10, on a machine with little time.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from shared.clock import utc_now
from shared.contract.criteria import CODES
from shared.database.models import Node, NodeProfile, QueryFind
from shared.dicom.association.c_find import open_find_association
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.query.identifiers import relational_series_identifier
from shared.dicom.query.matches import series_match
from tests.bench.classic import Counted, classic
from tests.bench.classic_qido import classic_qido
from tests.bench.minimum_qido import minimum_qido
from tests.bench.table import print_table
from tests.bench.usage import cpu_s_of_process, usage_of_session
from tests.bench.witnesses import WebWitness, Witness
from tests.support.archives.content import files_of
from tests.support.archives.orthanc import DICOMWEB_PLUGIN, Orthanc, orthancs, with_dicomweb
from tests.support.peers.slow_line import slow_line
from tests.support.peers.studies import DAY, days_of, series, study
from tests.support.processes.installation import Installation, Observed, Running, installed, observed
from tests.support.waiting import wait_until

STUDIES = int(os.environ.get("DOSEQR_BENCH_STUDIES", "1000"))
LAST = DAY.replace(day=28)
DATES = f"{DAY:%Y%m%d}-{LAST:%Y%m%d}"
TYPES = ["CT", "MG", "FL", "DX", "NM"]
CRITERIA = {"types": TYPES, "date_from": str(DAY), "date_until": str(LAST)}

#: Image and report of the studies; the mixture of a house with more CT and radiography than others.
KINDS = [
    *[("ct_image", "rdsr_ct")] * 4,
    *[("dx_image", "rdsr_dx")] * 3,
    ("mg_image", "rdsr_mg"),
    ("xa_image", "rdsr_fl"),
    ("nm_image", "rrdsr"),
]
ROUND_TRIPS_S = (0.0, 0.01)

#: Goals: studies a second over the classic plan's by round trip; C-FINDs; matches.
FASTER = {0.0: 5.0, 0.01: 10.0}
#: By DICOMweb: over the sequential client, or a part of what a client has that requests the least, unproven.
FASTER_WEB, OF_MINIMUM = 10.0, 0.8
#: As many as the tasks of a query process (DOSEQR_QUERY_WORKERS).
WEB_CONNECTIONS = 4
FEWER_FINDS = 20
FINDSCU_WITHIN = 2.0

HEAD = (
    "plan",
    "C-FINDs",
    "associations",
    "studies/s",
    "matches/s",
    "x classic",
    "CPU s",
    "peak MiB",
    "goal",
    "met",
)

WEB_HEAD = (
    "plan",
    "requests",
    "matches",
    "PACS CPU s",
    "studies/s",
    "x sequential",
    "of minimum",
    *HEAD[-4:],
)


@dataclass(frozen=True)
class Row:
    """One plan, measured."""

    plan: str
    counted: Counted
    associations: int | None
    cpu_s: float | None = None
    peak_mib: float | None = None
    pacs_cpu_s: float | None = None
    goal: str = ""
    met: str = ""

    @property
    def rate(self) -> float:
        return self.counted.studies / self.counted.seconds


# The PACS and its log


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory) -> Iterator[Orthanc]:
    """An Orthanc with studies of 3 series of 1 object, which logs each request."""
    with orthancs(tmp_path_factory.mktemp("bench")) as start:
        started = start("ORTHANC", **(with_dicomweb() if DICOMWEB_PLUGIN.exists() else {}))
        _fill(started)
        started.log_requests()
        yield started


def _fill(orthanc: Orthanc) -> None:
    kinds = iter(KINDS * (STUDIES // len(KINDS)))

    def make(**fields):
        image, report = next(kinds)
        return study(series(image), series(image), series(report), **fields)

    for _, content in files_of(days_of(STUDIES, DAY, LAST, make)):
        orthanc.add_bytes(content)


# Plans


@dataclass(frozen=True)
class Ours:
    """A running query service and the node that it queries."""

    observer: Observed
    worker: Running
    node_id: int
    orthanc: Orthanc
    witness: type[Witness | WebWitness]

    def job(self, plan: str) -> Row:
        """Run a whole query to the event of its end."""
        witness = self.witness(self.orthanc)
        _forget_peak(self.worker.pid)
        cpu_s = usage_of_session(self.worker.pid).cpu_s
        pacs_cpu_s = cpu_s_of_process(self.orthanc.pid)
        began = time.monotonic()
        job_id = self.observer.query(CRITERIA, remote=self.node_id)
        wait_until(lambda: bool(self.observer.endings(job_id)), 600)
        seconds = time.monotonic() - began
        peak = _peak_mib(self.worker.pid)
        cpu_s = usage_of_session(self.worker.pid).cpu_s - cpu_s
        pacs_cpu_s = cpu_s_of_process(self.orthanc.pid) - pacs_cpu_s
        query = self.observer.query_json(job_id)
        assert (query["status"], query["counts"]["kept"]) == ("completed", STUDIES)
        finds, associations = witness.read()
        with self.observer.database.read() as session:
            budget = session.get_one(Node, self.node_id).max_associations
            assert associations is None or associations <= budget
            which = QueryFind.job_id == job_id
            matches = session.scalar(select(func.sum(QueryFind.matches)).where(which)) or 0
        counted = Counted(finds, query["counts"]["found"], matches, seconds)
        return Row(plan, counted, associations, cpu_s, peak, pacs_cpu_s)

    def limit(self, *, associations: int, lists: bool) -> None:
        """Set the node's budget, and its profile for lists."""
        with self.observer.database.write() as session:
            session.get_one(Node, self.node_id).max_associations = associations
            row = session.get_one(NodeProfile, self.node_id)
            length = 50 if lists else 0
            row.data = row.data | {"series_list": length, "image_list": length}
            row.updated_at = utc_now()
        # What was opened under another budget and rests is released within seconds.
        wait_until(lambda: Witness(self.orthanc).read()[1] <= associations)


@contextlib.contextmanager
def ours(orthanc: Orthanc, port: int, installation: Installation, *, web: bool = False) -> Iterator[Ours]:
    """Run a query service as a process of its own."""
    (worker,) = installation.serve("query")
    with observed(installation) as observer:
        observer.add_own_store()
        if web:
            node = observer.add_dicomweb("orthanc", f"http://127.0.0.1:{port}/dicom-web")
        else:
            node = observer.add_remote("orthanc", "127.0.0.1", port, orthanc.ae_title)
        observer.wait_for_consumers("query", 1)
        yield Ours(observer, worker, node.id, orthanc, WebWitness if web else Witness)
    worker.terminate()


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak_mib(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def _classic(orthanc: Orthanc, port: int, *, quick_ack: bool = False) -> Row:
    witness = Witness(orthanc)
    codes = [code for name in TYPES for code in CODES[name]]
    counted = classic(Peer("127.0.0.1", port, orthanc.ae_title, "DOSEQR"), DATES, codes, quick_ack=quick_ack)
    assert counted.studies == STUDIES
    finds, associations = witness.read()
    plan = "classic, ACK at once" if quick_ack else "classic, TCP_NODELAY"
    return Row(plan, replace(counted, finds=finds), associations)


def _judge(row: Row, base: Row, round_trip_s: float, *, lists: bool) -> Row:
    ratio = row.rate / base.rate
    wanted = FASTER[round_trip_s] if lists else 1.0
    goal = f">= {wanted:g}x"
    met = ratio >= wanted
    if lists:
        most = base.counted.finds // FEWER_FINDS
        goal += f", <= {most} C-FINDs"
        met = met and row.counted.finds <= most
    return replace(row, goal=goal, met="yes" if met else "NO")


def _cells(row: Row, base: Row) -> list[object]:
    counted = row.counted
    return [
        row.plan,
        counted.finds,
        row.associations,
        row.rate,
        counted.matches / counted.seconds if counted.matches else None,
        row.rate / base.rate,
        row.cpu_s,
        row.peak_mib,
        row.goal,
        row.met,
    ]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("round_trip_s", ROUND_TRIPS_S)
def test_whole_queries_beside_the_classic_plan(
    orthanc, round_trip_s, rabbitmq_url, amqp_prefix, postgres_url, tmp_path
):
    with contextlib.ExitStack() as stack:
        # Given
        port = orthanc.port
        if round_trip_s:
            port = stack.enter_context(slow_line("127.0.0.1", orthanc.port, round_trip_s))
        # When
        base = _classic(orthanc, port)
        rows = [base, _classic(orthanc, port, quick_ack=True)]
        with (
            installed(tmp_path / "sqlite", rabbitmq_url, amqp_prefix, fresh=True) as installation,
            ours(orthanc, port, installation) as system,
        ):
            rows.append(_judge(system.job("first query, SQLite"), base, round_trip_s, lists=True))
            rows.append(_judge(system.job("second query, SQLite"), base, round_trip_s, lists=True))
            for associations in (1, 4):
                system.limit(associations=associations, lists=False)
                row = system.job(f"no lists, budget of {associations}, SQLite")
                rows.append(_judge(row, base, round_trip_s, lists=False))
        with (
            installed(
                tmp_path / "postgres", rabbitmq_url, amqp_prefix, database_url=postgres_url, fresh=True
            ) as installation,
            ours(orthanc, port, installation) as system,
        ):
            rows.append(_judge(system.job("first query, PostgreSQL"), base, round_trip_s, lists=True))
            rows.append(_judge(system.job("second query, PostgreSQL"), base, round_trip_s, lists=True))
    # Then
    title = f"{STUDIES:,} studies of 3 series, Orthanc, {round_trip_s * 1000:g} ms added round trip"
    print_table(title, HEAD, [_cells(row, base) for row in rows])


def _classic_qido(orthanc: Orthanc, port: int) -> Row:
    witness, cpu_s = WebWitness(orthanc), cpu_s_of_process(orthanc.pid)
    codes = [code for name in TYPES for code in CODES[name]]
    counted = classic_qido(f"http://127.0.0.1:{port}/dicom-web", DATES, codes)
    assert counted.studies == STUDIES
    # What the log does not hold would make our plan look better than it is.
    assert witness.read()[0] == counted.finds
    return Row("sequential QIDO client", counted, None, pacs_cpu_s=cpu_s_of_process(orthanc.pid) - cpu_s)


def _minimum_qido(orthanc: Orthanc, port: int) -> Row:
    cpu_s = cpu_s_of_process(orthanc.pid)
    counted = minimum_qido(f"http://127.0.0.1:{port}/dicom-web", DAY, LAST, WEB_CONNECTIONS)
    assert counted.studies == STUDIES
    plan = f"minimum, {WEB_CONNECTIONS} connections"
    return Row(plan, counted, None, pacs_cpu_s=cpu_s_of_process(orthanc.pid) - cpu_s)


def _web_cells(row: Row, base: Row, least: Row) -> list[object]:
    counted = row.counted
    return [
        row.plan,
        counted.finds,
        counted.matches,
        row.pacs_cpu_s,
        row.rate,
        row.rate / base.rate,
        f"{row.rate / least.rate:.0%}",
        row.cpu_s,
        row.peak_mib,
        row.goal,
        row.met,
    ]


def _judge_web(row: Row, base: Row, least: Row) -> Row:
    wanted = min(FASTER_WEB * base.rate, OF_MINIMUM * least.rate)
    goal = f">= {FASTER_WEB:g}x, or {OF_MINIMUM:.0%} of minimum"
    return replace(row, goal=goal, met="yes" if row.rate >= wanted else "NO")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("round_trip_s", ROUND_TRIPS_S)
def test_whole_queries_by_dicomweb_beside_a_sequential_client(
    orthanc, round_trip_s, rabbitmq_url, amqp_prefix, tmp_path
):
    with contextlib.ExitStack() as stack:
        # Given
        with_dicomweb()
        port = orthanc.http_port
        if round_trip_s:
            port = stack.enter_context(slow_line("127.0.0.1", port, round_trip_s))
        # When
        base, least = _classic_qido(orthanc, port), _minimum_qido(orthanc, port)
        installation = stack.enter_context(
            installed(tmp_path / "sqlite", rabbitmq_url, amqp_prefix, fresh=True)
        )
        system = stack.enter_context(ours(orthanc, port, installation, web=True))
        rows = [system.job(f"{number} query, SQLite") for number in ("first", "second", "third")]
    # Then
    if round_trip_s:
        rows = [_judge_web(row, base, least) for row in rows]
    title = (
        f"{STUDIES:,} studies of 3 series, Orthanc by DICOMweb, {round_trip_s * 1000:g} ms added round trip"
    )
    print_table(title, WEB_HEAD, [_web_cells(row, base, least) for row in (base, least, *rows)])


# Raw matches


def _findscu(orthanc: Orthanc, program: str) -> float:
    keys = {"0008,0052": "SERIES", "0008,0020": DATES}
    empty = ("0020,000D", "0020,000E", "0008,0060", "0008,103E", "0008,1010", "0020,0011", "0020,1209")
    arguments = [f"{tag}={value}" for tag, value in (keys | dict.fromkeys(empty, "")).items()]
    command = [program, "-S", "-aec", orthanc.ae_title]
    for argument in arguments:
        command += ["-k", argument]
    began = time.monotonic()
    subprocess.run(
        [*command, "127.0.0.1", str(orthanc.port)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TCP_NODELAY": "1"},
        timeout=60,
    )
    return time.monotonic() - began


def _raw(orthanc: Orthanc) -> float:
    peer = Peer("127.0.0.1", orthanc.port, orthanc.ae_title, "DOSEQR")
    began = time.monotonic()
    association = open_find_association(peer, Timeouts(10.0, 60.0))
    result = association.c_find(relational_series_identifier(DATES), series_match)
    association.release()
    seconds = time.monotonic() - began
    assert result.complete
    assert len(result.matches) == 3 * STUDIES
    return seconds


@pytest.mark.timeout(300)
def test_raw_matches_beside_findscu(orthanc):
    # Given
    program = shutil.which("findscu")
    if program is None:
        pytest.skip("no findscu: install the package dcmtk")
    # When
    theirs = min(_findscu(orthanc, program) for _ in range(5))
    own = min(_raw(orthanc) for _ in range(5))
    # Then
    matches = 3 * STUDIES
    met = "yes" if own <= theirs * FINDSCU_WITHIN else "NO"
    print_table(
        f"{matches:,} matches at series level of one C-FIND, Orthanc, best of 5",
        ("program", "seconds", "matches/s", "goal", "met"),
        [
            ["DCMTK findscu", round(theirs, 3), matches / theirs, "", ""],
            [
                "our c_find",
                round(own, 3),
                matches / own,
                f"within {FINDSCU_WITHIN:g} times",
                met,
            ],
        ],
    )
