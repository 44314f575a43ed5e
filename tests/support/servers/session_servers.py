"""One broker and one PostgreSQL for all processes of a run on several (pytest -n)."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from services.cli.local.private_rabbitmq import find_server_script, private_node
from tests.support.servers.databases import find_programs, private_postgres

#: Tests that need neither.
_WITHOUT = ("tests/unit", "tests/golden", "tests/architecture")

_shared = ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Start them in the process that hands out the tests; its workers inherit the addresses."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", 0):
        return
    if all(argument.startswith(_WITHOUT) for argument in config.args):
        return
    script = find_server_script()
    if script is not None and "DOSEQR_TEST_AMQP_URL" not in os.environ:
        folder = Path(_shared.enter_context(TemporaryDirectory(prefix="doseqr-node-")))
        node = _shared.enter_context(private_node(folder / "node", script))
        os.environ["DOSEQR_TEST_AMQP_URL"] = node.url
    if find_programs() is not None and "DOSEQR_TEST_POSTGRES_URL" not in os.environ:
        server = _shared.enter_context(private_postgres())
        os.environ["DOSEQR_TEST_POSTGRES_URL"] = server.url


def pytest_unconfigure() -> None:
    """Stop what was started."""
    _shared.close()
