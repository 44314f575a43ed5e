"""Fixtures for every test; a plugin stands before those that import it, so that its asserts are rewritten."""

from __future__ import annotations

import gc
import os

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


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over what stays to the end, the tests, and come less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
