"""Installations over a private RabbitMQ, each with names, a data folder and ports of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes.installation import Installation, Observed, installed, observed


@pytest.fixture
def installation(tmp_path: Path, rabbitmq_url: str, amqp_prefix: str) -> Iterator[Installation]:
    """An installation in which nothing runs yet."""
    with installed(tmp_path, rabbitmq_url, amqp_prefix) as made:
        yield made


@pytest.fixture
def observe() -> Iterator[Callable[[Installation], Observed]]:
    """Observe an installation; what was opened for it is closed at the end of the test."""
    with ExitStack() as stack:
        yield lambda installation: stack.enter_context(observed(installation))


@pytest.fixture
def serving(installation: Installation, observe: Callable[[Installation], Observed]) -> Callable[..., Any]:
    """Start services, and return their processes and how they are seen: `serving("query", "query")`."""

    def serve(*services: str) -> tuple[list[Any], Observed]:
        processes = installation.serve(*services)
        observer = observe(installation)
        for service in dict.fromkeys(services):
            observer.wait_for_consumers(service, services.count(service))
        return processes, observer

    return serve
