"""A `doseqr` with a data folder of its own, and services that respond to it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from services.cli.client.session import opened_database
from shared.settings import Settings, load
from tests.support.services.cli import Doseqr
from tests.support.services.fake_services import FakeServices, Script


@pytest.fixture
def logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let commands send the log to the captured standard error, and nothing later write to what is closed."""
    before, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    configure = structlog.configure

    def uncached(**options: Any) -> None:
        configure(**options | {"cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", uncached)
    yield
    configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def doseqr(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    logging_as_before: None,
) -> Doseqr:
    """Give a `doseqr` over an embedded broker that nobody serves (yet), and a database that is set up."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"DOSEQR_{name.upper()}", raising=False)
    monkeypatch.setenv("DOSEQR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DOSEQR_AMQP_URL", "memory://")
    settings = load()
    with opened_database(settings, create=True):
        pass
    return Doseqr(capsys, settings)


@pytest.fixture
def script() -> Script:
    """Give what the fake services return; a test changes it."""
    return Script()


@pytest.fixture
def services(doseqr: Doseqr, script: Script) -> Iterator[FakeServices]:
    """Run fake services that `doseqr` reaches."""
    running = FakeServices(doseqr.settings, script)
    yield running
    running.close()
