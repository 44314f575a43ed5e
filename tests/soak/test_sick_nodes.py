"""300 nodes, 200 of which swallow packets: what that costs the others, beside tries that know of no other."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from shared.broker.memory.broker import MemoryBroker
from shared.clock import utc_now
from shared.contract.envelope import new_id
from shared.control.node_control import NodeControl
from shared.jobs import runner
from shared.jobs.shares import worker_shares
from shared.node_access import pool
from tests.bench.table import print_table
from tests.integration.query.test_sharing import LAST, of_days
from tests.support.peers.studies import ct_study, days_of
from tests.support.ports import swallowing_port
from tests.support.services.in_process import System
from tests.support.services.web import statements

HEALTHY, SICK = 100, 200
#: Spare threads of a process before outages were shared.
FEW_THREADS = 4
#: Seconds after which a run is counted as it stands.
LONGEST_S = 60.0
CONNECT_TIMEOUT_S = 5.0
#: Seconds between two sweeps, as in production: other tests shorten them.
SWEEP_S = runner.SWEEP_S
#: What is left to the healthy nodes, by the processor, while the jobs of the others wait.
LEAST_SHARE = 0.9
FIRST_END_S = 5.0
#: Seconds for which the processor is measured that waiting jobs take.
MEASURED_S = 20.0
#: Pairs of runs, beside jobs that wait and beside the same that are paused. A shared machine takes up to a
#: third more of the processor for the same work from one minute to the next: only runs that alternate tell.
PAIRS = 4


@dataclass(frozen=True, slots=True)
class Run:
    """How the queries of the healthy nodes went: seconds to the first and the last end, and their number."""

    first_s: float
    all_s: float
    ended: int
    #: Seconds of the processor that this process took until the first end, and until the last: on a shared
    #: machine they tell more than the clock.
    first_cpu_s: float
    cpu_s: float
    statements: int

    @property
    def rate(self) -> float:
        return self.ended / self.all_s


@pytest.fixture
def system_of_300(make_system, test_settings, database, scripted_pacs, monkeypatch) -> Iterator[System]:
    """A system with the nodes, each with an AE title of its own; the healthy ones are one scripted PACS."""
    monkeypatch.setattr(runner, "SWEEP_S", SWEEP_S)
    broker = MemoryBroker()
    broker.declare()
    settings = test_settings.model_copy(
        update={"connect_timeout": CONNECT_TIMEOUT_S, "dimse_timeout": 30.0, "fuse_attempts": 100_000}
    )
    system = make_system(broker, database, settings)
    system.add_own_store()
    pacs = scripted_pacs(days_of(5, LAST, LAST, ct_study))
    for number in range(HEALTHY):
        system.add_remote(f"healthy-{number}", pacs.host, pacs.port, f"HEALTHY{number}")
    with swallowing_port() as port:
        for number in range(SICK):
            system.add_remote(f"sick-{number}", "127.0.0.1", port, f"SICK{number}")
        yield system
        system.close()


def run_healthy(system: System) -> Run:
    """Query all healthy nodes."""
    began, cpu_before = time.monotonic(), time.process_time()
    ends: list[float] = []
    first_cpu_s = 0.0
    with statements(system.database) as sent:
        left = {system.query(of_days(1), remote=f"healthy-{number}") for number in range(HEALTHY)}
        while left and time.monotonic() - began < LONGEST_S:
            ended = {job_id for job_id in left if system.endings(job_id)}
            ends += [time.monotonic() - began] * len(ended)
            left -= ended
            if ends and not first_cpu_s:
                first_cpu_s = time.process_time() - cpu_before
            time.sleep(0.02)
    cpu_s = time.process_time() - cpu_before
    return Run(
        ends[0] if ends else LONGEST_S,
        ends[-1] if not left else LONGEST_S,
        len(ends),
        first_cpu_s,
        cpu_s,
        len(sent),
    )


def mean_of(runs: Sequence[Run]) -> Run:
    """Return what these runs took on average; of first ends the latest."""
    return Run(
        max(run.first_s for run in runs),
        sum(run.all_s for run in runs) / len(runs),
        min(run.ended for run in runs),
        max(run.first_cpu_s for run in runs),
        sum(run.cpu_s for run in runs) / len(runs),
        sum(run.statements for run in runs) // len(runs),
    )


def order_sick(system: System) -> list[str]:
    """Order a query of each sick node; return their ids."""
    return [system.query(of_days(1), remote=f"sick-{number}") for number in range(SICK)]


@contextmanager
def sick_paused(system: System) -> Iterator[None]:
    """Pause the sick nodes meanwhile: their jobs are held, and cost as little as ended ones."""
    control = NodeControl(system.database, utc_now)
    for number in range(SICK):
        control.pause(f"sick-{number}", new_id(), "test")
    yield
    for number in range(SICK):
        control.resume(f"sick-{number}", new_id(), "test")


def processor_share() -> float:
    """Return the share of a processor that this process takes while nobody orders anything."""
    began, cpu_before = time.monotonic(), time.process_time()
    time.sleep(MEASURED_S)
    return (time.process_time() - cpu_before) / (time.monotonic() - began)


@pytest.mark.timeout(900)
def test_two_hundred_nodes_that_swallow_packets_cost_the_others_little(system_of_300, monkeypatch):
    # Given
    system = system_of_300
    system.start("query")
    run_healthy(system)
    alone = run_healthy(system)
    idle = processor_share()
    # When
    sick_jobs = order_sick(system)
    at_once = run_healthy(system)
    of_later, of_paused = [], []
    for _ in range(PAIRS):
        of_later.append(run_healthy(system))
        with sick_paused(system):
            of_paused.append(run_healthy(system))
    later, paused = mean_of(of_later), mean_of(of_paused)
    waiting = processor_share() - idle
    ended_early = [job_id for job_id in sick_jobs if system.endings(job_id)]
    system.stop()
    monkeypatch.setattr(pool, "is_outage", lambda _error: False)
    monkeypatch.setattr(worker_shares, "SPARE_THREADS", FEW_THREADS)
    system.start("query")
    without = run_healthy(system)
    # Then
    runs = {
        "healthy nodes alone": alone,
        f"just after {SICK} jobs for sick nodes": at_once,
        f"while these wait, mean of {PAIRS}": later,
        f"while these are paused, mean of {PAIRS}": paused,
        f"breaker off, {FEW_THREADS} spare threads": without,
    }
    print_table(
        f"{HEALTHY} healthy nodes, {SICK} that swallow packets, {system.database.url.get_backend_name()}, "
        f"load {os.getloadavg()[0]:.1f}",
        ("", "ended", "first s", "last s", "CPU s to first", "CPU s", "statements", "queries/s", "% by CPU"),
        [
            (
                name,
                run.ended,
                run.first_s,
                run.all_s,
                run.first_cpu_s,
                run.cpu_s,
                run.statements,
                run.rate,
                100 * paused.cpu_s / run.cpu_s,
            )
            for name, run in runs.items()
        ],
    )
    left = paused.cpu_s / (paused.cpu_s + waiting * paused.all_s)
    print_table(
        "Jobs that wait", ("CPU ms a second", "left to the others, %"), [(1000 * waiting, 100 * left)]
    )
    assert alone.ended == at_once.ended == later.ended == paused.ended == HEALTHY
    assert not ended_early
    # By the processor: on a shared machine the clock tells what others did meanwhile.
    assert at_once.first_cpu_s < FIRST_END_S
    assert later.first_cpu_s < FIRST_END_S
    assert left >= LEAST_SHARE
    # What waiting jobs take by themselves does not show what they cost work that goes on beside them.
    assert paused.cpu_s / later.cpu_s >= LEAST_SHARE
    assert alone.statements / later.statements >= LEAST_SHARE
    assert without.ended < HEALTHY
