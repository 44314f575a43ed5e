"""Jobs lose the broker, database or PACS in the middle, for as long as the test wants, and get it back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.archive.model import Study
from simulator.scp import ScriptedPacs
from tests.e2e.archive import mixed_archive
from tests.e2e.slow import (
    ONE_BY_ONE,
    all_arrived_once,
    as_undisturbed,
    begin_slow_query,
    begin_slow_retrieve,
    many_images,
)
from tests.support.ports import free_port
from tests.support.processes.event_queue import Recording
from tests.support.processes.installation import Observed, installed, observed

#: Pauses between two tries have grown to half a minute by then; a worker's lease lasts as long.
BACK_WITHIN_S = 120.0

SERVICES = ("query", "query", "retrieve", "retrieve", "store")

PacsFactory = Callable[..., ScriptedPacs]


@dataclass
class Underway:
    """A query and a retrieve in their middle, each with two workers."""

    observer: Observed
    pacs: ScriptedPacs
    archive: list[Study]
    recording: Recording
    query_id: str
    retrieve_id: str

    def end_as_undisturbed(self) -> None:
        """Wait for the end of both, and hold it against jobs that nothing has disturbed."""
        images = [study for study in self.archive if study.series[0].modality == "MG"]
        all_arrived_once(self.observer, self.pacs, self.retrieve_id, images, BACK_WITHIN_S, self.recording)
        as_undisturbed(self.observer, self.pacs, self.query_id, BACK_WITHIN_S, self.recording)


@contextmanager
def underway(
    folder: Path, amqp_url: str, prefix: str, scripted_pacs: PacsFactory, away_s: float, **options: Any
) -> Iterator[Underway]:
    """Begin a query and a retrieve that last longer than an absence of `away_s` seconds."""
    archive = [*mixed_archive(30), *many_images()]
    pacs = scripted_pacs(archive, port=free_port(), **ONE_BY_ONE)
    with installed(folder, amqp_url, prefix, **options) as installation:
        installation.serve(*SERVICES)
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            recording = Recording(amqp_url, prefix)
            retrieve_id = begin_slow_retrieve(observer, pacs, _pause_s(away_s))
            query_id = begin_slow_query(observer, pacs)
            assert observer.status(retrieve_id) == "running"
            yield Underway(observer, pacs, archive, recording, query_id, retrieve_id)


def without_broker(folder: Path, node: Any, prefix: str, scripted_pacs: PacsFactory, away_s: float) -> None:
    """Jobs go on, and end as undisturbed, after their broker was away for this long."""
    with underway(folder, node.url, prefix, scripted_pacs, away_s) as jobs:
        node.stop()
        time.sleep(away_s)
        node.start()
        for service in ("query", "retrieve"):
            jobs.observer.wait_for_consumers(service, 2)
        jobs.end_as_undisturbed()


def without_database(
    folder: Path, rabbitmq_url: str, prefix: str, postgres: Any, scripted_pacs: PacsFactory, away_s: float
) -> None:
    """Jobs go on, and end as undisturbed, after their database was away for this long."""
    url = postgres.url.replace("postgresql:", "postgresql+psycopg:")
    with underway(folder, rabbitmq_url, prefix, scripted_pacs, away_s, database_url=url) as jobs:
        postgres.stop()
        time.sleep(away_s)
        postgres.start()
        jobs.end_as_undisturbed()


def without_pacs(
    folder: Path, rabbitmq_url: str, prefix: str, scripted_pacs: PacsFactory, away_s: float
) -> None:
    """Jobs go on, and end as undisturbed, after their PACS was away for this long."""
    with underway(folder, rabbitmq_url, prefix, scripted_pacs, away_s) as jobs:
        before = jobs.pacs
        before.stop()
        time.sleep(away_s)
        assert jobs.observer.query_json(jobs.query_id)["next_try_at"] is not None
        assert jobs.observer.status(jobs.retrieve_id) == "running"
        jobs.pacs = scripted_pacs(
            jobs.archive, port=before.port, destinations=before.destinations, **ONE_BY_ONE
        )
        jobs.end_as_undisturbed()


def _pause_s(away_s: float) -> float:
    """Return how slowly a PACS sends so that a move of 200 objects lasts a little longer than an absence."""
    return max(0.1, (away_s + 5) / 200)
