"""What all services share: here, whether their health names the broker."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from shared.broker.port import Broker, QueueState
from shared.database.session import Database
from shared.errors import BrokerAwayError, PermanentError
from shared.lifecycle import Lifecycle
from shared.service import start_health
from shared.settings import Settings


class CountingBroker:
    """Has its queues counted, or refuses."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error
        self.counted: list[str] = []

    def queue_state(self, queue: str) -> QueueState:
        self.counted.append(queue)
        if self._error is not None:
            raise self._error
        return QueueState(ready=0, consumers=1)


@pytest.mark.parametrize(
    ("service", "error", "queue", "trouble"),
    [
        ("store", None, "store", ""),
        # A login without any permission on a queue: from 4.2.6 on, RabbitMQ refuses it even this.
        ("store", PermanentError("refused by the broker"), "store", ""),
        ("store", BrokerAwayError("the broker is away"), "store", "the broker is away"),
        ("web", None, "echo", ""),
    ],
)
def test_health_counts_a_queue_that_the_service_may_count(
    tmp_path: Path, service: str, error: Exception | None, queue: str, trouble: str
) -> None:
    # Given
    database = Database(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    broker, lifecycle = CountingBroker(error), Lifecycle()
    # When
    start_health(service, Settings(), cast("Broker", broker), database, lifecycle)
    troubles: Any = lifecycle.health.troubles()
    database.close()
    # Then
    assert broker.counted == [queue]
    assert troubles.get("broker", "") == trouble
