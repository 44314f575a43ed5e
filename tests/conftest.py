"""Fixtures for every test; a plugin stands before those that import it, so that its asserts are rewritten."""

from __future__ import annotations

import gc
import os

from hypothesis import HealthCheck, settings

# The tests start doseqr some hundred times: each would compile all of it again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


# How fast examples come says something about the machine, nothing about the code.
settings.register_profile("doseqr", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("doseqr")

pytest_plugins = [
    "tests.support.broker",
    "tests.support.databases",
    "tests.support.system",
    "tests.support.pacs",
    "tests.support.orthanc",
    "tests.support.store",
    "tests.support.dcmqrscp",
    "tests.support.reference_store",
    "tests.support.web",
    "tests.support.browser",
    "tests.support.ward",
    "tests.support.sharing",
    "tests.support.strange_pacs",
]


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over what stays to the end, the tests, and come less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
