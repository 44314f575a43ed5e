"""Fixtures for every test; a plugin stands before those that import it, so that its asserts are rewritten."""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from shared.dicom.association.fuse import FUSE
from tests.support.examples import examples
from tests.support.log_lines import log_to_standard_error

# Imports and collection make what stays to the end: a collector would pass over it again and again.
gc.disable()

# The tests start doseqr some hundred times: each would compile all again, each worker all test modules.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

log_to_standard_error()

# The speed of examples depends on the machine, not on the code. `make soak` tries many more of them.
settings.register_profile(
    "doseqr",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=examples(40),
)
settings.load_profile("doseqr")

pytest_plugins = [
    "tests.support.cpu_times",
    "tests.support.servers.rabbitmq",
    "tests.support.servers.databases",
    "tests.support.servers.compiled_statements",
    "tests.support.services.in_process",
    "tests.support.peers.storage_scp",
    "tests.support.peers.scripted_pacs",
    "tests.support.archives.dicomweb_server",
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
    "tests.support.messages.paused_system",
]


#: Folders whose files take longest, however few tests they hold: whole systems, archives, hundreds of rows.
LONGEST_FIRST = ("e2e", "integration/archives", "matrix")
ROOT = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first: a worker that began one of them last would run on alone.

    Those of these folders alternate, so that not all workers start whole systems at once. `pytest -n` itself
    would put the files with most tests first (--no-loadscope-reorder ends that).
    """
    places: dict[Path, tuple[int, ...]] = {}
    begun: Counter[str] = Counter()
    for path, tests in Counter(item.path for item in items).most_common():
        folder = next((name for name in LONGEST_FIRST if path.is_relative_to(ROOT / name)), "")
        rank = (0, begun[folder], LONGEST_FIRST.index(folder)) if folder else (1, -tests)
        places[path] = rank
        begun[folder] += 1
    items.sort(key=lambda item: (*places[item.path], str(item.path)))


def pytest_runtest_setup() -> None:
    """Let no test find a peer's fuse blown by the tests before it: it counts for the whole process.

    A port may belong to one PACS after the other, and some tests call what is away on purpose.
    """
    FUSE._peers.clear()


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over what stays to the end, the tests, and come less often."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()
