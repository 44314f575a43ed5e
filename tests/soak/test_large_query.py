"""A year of 200,000 studies: memory stays flat, time and database grow with the studies and not faster."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from shared.contract.messages import ENDED
from shared.database.models import Query, QueryFind
from simulator.generator.generated_archive import generate
from tests.bench.table import print_table
from tests.support.processes.installation import Observed, Running, installed, observed

STUDIES = 200_000
YEAR = dt.date(2023, 1, 1), dt.date(2023, 12, 31)
CRITERIA = {
    "types": ["CT", "MG", "FL", "DX", "NM"],
    "date_from": str(YEAR[0]),
    "date_until": str(YEAR[1]),
}
#: Parts of the studies after which it is looked how far things are.
MARKS = (0.1, 0.25, 0.5, 0.75, 1.0)

MOST_MIB = 200.0
#: Whole run against its first quarter, for a study: time, and bytes of the database.
MOST_GROWTH = 1.5

_POLL_INTERVAL_S = 0.5


@dataclass(frozen=True)
class Sample:
    """How things are after some studies."""

    studies: int
    seconds: float
    resident_mib: float
    database_mib: float


def _resident_mib(worker: Running) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{worker.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def _watch(observer: Observed, worker: Running, job_id: str, studies: int) -> list[Sample]:
    """Return a sample for each mark, the last one at the end of the job, and the peak of memory in each."""
    database = observer.settings.data_dir
    began, peak = time.monotonic(), 0.0
    samples: list[Sample] = []
    while True:
        with observer.database.read() as session:
            query = session.get(Query, job_id)
            examined, ended = (query.studies_examined, query.status in ENDED) if query else (0, False)
        peak = max(peak, _resident_mib(worker))
        if ended or (len(samples) < len(MARKS) - 1 and examined >= MARKS[len(samples)] * studies):
            size = sum(path.stat().st_size for path in database.glob("*.sqlite*")) / 2**20
            samples.append(Sample(examined, time.monotonic() - began, peak, size))
        if ended:
            return samples
        time.sleep(_POLL_INTERVAL_S)


def _print(samples: Sequence[Sample], finds: int) -> None:
    rows = [
        [
            sample.studies,
            sample.seconds,
            sample.studies / sample.seconds,
            sample.resident_mib,
            sample.database_mib,
            sample.database_mib * 2**20 / sample.studies,
        ]
        for sample in samples
    ]
    head = ("studies", "seconds", "studies/s", "peak MiB", "database MiB", "bytes a study")
    print_table(f"A year of studies on a scripted PACS, {finds:,} C-FINDs", head, rows)


@pytest.mark.timeout(7200)
def test_a_year_is_queried_in_flat_memory_and_linear_time(scripted_pacs, rabbitmq_url, amqp_prefix, tmp_path):
    # Given
    archive = generate(STUDIES, 5, *YEAR)
    pacs = scripted_pacs(archive)
    with installed(tmp_path / "system", rabbitmq_url, amqp_prefix, fresh=True) as installation:
        (worker,) = installation.serve("query")
        with observed(installation) as observer:
            observer.add_own_store()
            observer.add_pacs(pacs)
            observer.wait_for_consumers("query", 1)
            # When
            job_id = observer.query(CRITERIA)
            samples = _watch(observer, worker, job_id, len(archive))
            # Then
            with observer.database.read() as session:
                query = session.get_one(Query, job_id)
                status, found, missing = query.status, query.studies_found, query.studies_missing
                finds = session.scalar(select(func.count()).select_from(QueryFind)) or 0
    _print(samples, finds)
    assert (status, missing) == ("completed", 0)
    assert samples[-1].studies == found
    assert max(sample.resident_mib for sample in samples) < MOST_MIB
    early, late = samples[1], samples[-1]
    assert late.seconds / late.studies < early.seconds / early.studies * MOST_GROWTH
    assert late.database_mib / late.studies < early.database_mib / early.studies * MOST_GROWTH
