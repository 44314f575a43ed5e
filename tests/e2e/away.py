"""A job loses the broker, database or PACS in the middle, for as long as the test wants, and gets it back."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from tests.support.processes.installation import installed, observed

#: Pauses between two tries have grown to half a minute by then; a worker's lease lasts as long.
BACK_WITHIN_S = 120.0

#: The services of a retrieve; its query runs before.
MOVING = ("retrieve", "retrieve", "query", "store")

PacsFactory = Callable[..., ScriptedPacs]


def without_broker(folder: Path, node: Any, prefix: str, scripted_pacs: PacsFactory, away_s: float) -> None:
    """A query goes on, and ends as undisturbed, after its broker was away for this long."""
    pacs = scripted_pacs(mixed_archive(60), **ONE_BY_ONE)
    with installed(folder, node.url, prefix) as installation:
        installation.serve("query", "query")
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            job_id = begin_slow_query(observer, pacs)
            node.stop()
            time.sleep(away_s)
            node.start()
            observer.wait_for_consumers("query", 2)
            as_undisturbed(observer, pacs, job_id, BACK_WITHIN_S)


def without_database(
    folder: Path, rabbitmq_url: str, prefix: str, postgres: Any, scripted_pacs: PacsFactory, away_s: float
) -> None:
    """A query goes on, and ends as undisturbed, after its database was away for this long."""
    pacs = scripted_pacs(mixed_archive(60), **ONE_BY_ONE)
    url = postgres.url.replace("postgresql:", "postgresql+psycopg:")
    with installed(folder, rabbitmq_url, prefix, database_url=url) as installation:
        installation.serve("query", "query")
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            job_id = begin_slow_query(observer, pacs)
            postgres.stop()
            time.sleep(away_s)
            postgres.start()
            as_undisturbed(observer, pacs, job_id, BACK_WITHIN_S)


def without_pacs(
    folder: Path, rabbitmq_url: str, prefix: str, scripted_pacs: PacsFactory, away_s: float
) -> None:
    """A query goes on, and ends as undisturbed, after its PACS was away for this long."""
    archive = mixed_archive(60)
    pacs = scripted_pacs(archive, port=free_port(), **ONE_BY_ONE)
    with installed(folder, rabbitmq_url, prefix) as installation:
        installation.serve("query", "query")
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            job_id = begin_slow_query(observer, pacs)
            pacs.stop()
            time.sleep(away_s)
            assert observer.query_json(job_id)["next_try_at"] is not None
            back = scripted_pacs(archive, port=pacs.port, **ONE_BY_ONE)
            as_undisturbed(observer, back, job_id, BACK_WITHIN_S)


def moves_without_broker(
    folder: Path, node: Any, prefix: str, scripted_pacs: PacsFactory, away_s: float
) -> None:
    """A retrieve goes on, and ends as undisturbed, after its broker was away for this long."""
    archive = many_images()
    pacs = scripted_pacs(archive)
    with installed(folder, node.url, prefix) as installation:
        installation.serve(*MOVING)
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            recording = Recording(node.url, prefix)
            job_id = begin_slow_retrieve(observer, pacs, _pause_s(away_s))
            node.stop()
            time.sleep(away_s)
            node.start()
            observer.wait_for_consumers("retrieve", 2)
            all_arrived_once(observer, pacs, job_id, archive, BACK_WITHIN_S, recording)


def moves_without_database(
    folder: Path, rabbitmq_url: str, prefix: str, postgres: Any, scripted_pacs: PacsFactory, away_s: float
) -> None:
    """A retrieve goes on, and ends as undisturbed, after its database was away for this long."""
    archive = many_images()
    pacs = scripted_pacs(archive)
    url = postgres.url.replace("postgresql:", "postgresql+psycopg:")
    with installed(folder, rabbitmq_url, prefix, database_url=url) as installation:
        installation.serve(*MOVING)
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            job_id = begin_slow_retrieve(observer, pacs, _pause_s(away_s))
            postgres.stop()
            time.sleep(away_s)
            postgres.start()
            all_arrived_once(observer, pacs, job_id, archive, BACK_WITHIN_S)


def moves_without_pacs(
    folder: Path, rabbitmq_url: str, prefix: str, scripted_pacs: PacsFactory, away_s: float
) -> None:
    """A retrieve goes on, and ends as undisturbed, after its PACS was away for this long."""
    archive = many_images()
    pacs = scripted_pacs(archive, port=free_port())
    with installed(folder, rabbitmq_url, prefix) as installation:
        installation.serve(*MOVING)
        with observed(installation) as observer:
            observer.add_pacs(pacs)
            job_id = begin_slow_retrieve(observer, pacs, _pause_s(away_s))
            pacs.stop()
            time.sleep(away_s)
            assert observer.status(job_id) == "running"
            back = scripted_pacs(archive, port=pacs.port, destinations=pacs.destinations)
            all_arrived_once(observer, back, job_id, archive, BACK_WITHIN_S)


def _pause_s(away_s: float) -> float:
    """Return how slowly a PACS sends so that a move of 180 objects lasts a little longer than an absence."""
    return max(0.1, (away_s + 5) / 180)
