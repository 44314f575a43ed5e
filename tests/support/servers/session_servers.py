"""One broker, one PostgreSQL and one migration of each kind for all processes of a run (pytest -n)."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from services.cli.local.private_rabbitmq import find_server_script, private_node
from tests.support.servers.databases import TEMPLATES, find_programs, private_postgres

#: Tests that need no broker.
_WITHOUT_BROKER = ("tests/unit", "tests/golden", "tests/architecture")

_shared = ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Start them in the process that hands out the tests; its workers inherit the addresses."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", 0):
        return
    os.environ[TEMPLATES] = _shared.enter_context(TemporaryDirectory(prefix="doseqr-templates-"))
    script = find_server_script()
    without_broker = all(argument.startswith(_WITHOUT_BROKER) for argument in config.args)
    if script is not None and not without_broker and "DOSEQR_TEST_AMQP_URL" not in os.environ:
        folder = Path(_shared.enter_context(TemporaryDirectory(prefix="doseqr-node-")))
        node = _shared.enter_context(private_node(folder / "node", script))
        os.environ["DOSEQR_TEST_AMQP_URL"] = node.url
    if find_programs() is not None and "DOSEQR_TEST_POSTGRES_URL" not in os.environ:
        server = _shared.enter_context(private_postgres())
        os.environ["DOSEQR_TEST_POSTGRES_URL"] = server.url


def pytest_unconfigure() -> None:
    """Stop what was started."""
    _shared.close()
