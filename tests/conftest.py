"""Fixtures for every test; a plugin stands before those that import it, so that its asserts are rewritten."""

from __future__ import annotations

import gc
import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

# The tests start doseqr some hundred times: each would compile all of it again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


# The speed of examples depends on the machine, not on the code.
settings.register_profile("doseqr", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("doseqr")

pytest_plugins = [
    "tests.support.servers.rabbitmq",
    "tests.support.servers.databases",
    "tests.support.services.in_process",
    "tests.support.peers.storage_scp",
    "tests.support.peers.scripted_pacs",
    "tests.support.archives.orthanc",
    "tests.support.services.store",
    "tests.support.archives.dcmqrscp",
    "tests.support.archives.storescp",
    "tests.support.services.web",
    "tests.support.services.web_api",
    "tests.support.servers.browser",
    "tests.support.jobs.ward",
    "tests.support.servers.session_servers",
    "tests.support.peers.byte_pacs",
]


#: Folders whose files take longest, however few tests they hold: whole systems, archives, hundreds of rows.
LONGEST_FIRST = ("tests/e2e/", "tests/integration/archives/", "tests/matrix/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first: a worker that began one of them last would run on alone.

    `pytest -n` itself would put those with most tests first (--no-loadscope-reorder ends that).
    """
    tests = Counter(item.path for item in items)

    def place(item: pytest.Item) -> tuple[int, int, str]:
        ranks = [rank for rank, folder in enumerate(LONGEST_FIRST) if item.nodeid.startswith(folder)]
        return (min(ranks, default=len(LONGEST_FIRST)), -tests[item.path], str(item.path))

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over what stays to the end, the tests, and come less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
