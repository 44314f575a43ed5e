"""What stands on a RabbitMQ, for a user who may not make it."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pika import exceptions
from pika.adapters.blocking_connection import BlockingConnection

from shared.broker.rabbitmq.declaration import declare_topology
from shared.broker.topology import Names
from shared.errors import PermanentError

NAMES = Names("site")


class Channel:
    """Refuses what the user may not configure; passively, it responds by name."""

    def __init__(self, codes: dict[str, int]) -> None:
        self._codes = codes

    def exchange_declare(self, name: str, *, passive: bool = False, **_: Any) -> None:
        self._declare(name, passive=passive)

    def queue_declare(self, name: str, *, passive: bool = False, **_: Any) -> None:
        self._declare(name, passive=passive)

    def close(self) -> None:
        """Nothing is open."""

    def _declare(self, name: str, *, passive: bool) -> None:
        code = self._codes.get(name, 200) if passive else 403
        if code != 200:
            raise exceptions.ChannelClosedByBroker(code, f"{code} for {name}")


class Connection:
    def __init__(self, codes: dict[str, int]) -> None:
        self._codes = codes

    def channel(self) -> Channel:
        return Channel(self._codes)


def declare(codes: dict[str, int]) -> bool:
    return declare_topology(cast("BlockingConnection", Connection(codes)), NAMES)


def test_what_a_user_may_not_know_of_is_taken_as_there() -> None:
    # Given: from 4.2.6 on, RabbitMQ refuses a passive declaration without any permission on the name
    codes = dict.fromkeys((NAMES.dead_letters, *NAMES.exchanges), 403)
    # When
    configured = declare(codes)
    # Then
    assert not configured


def test_what_is_missing_is_named_beside_what_a_user_may_not_know() -> None:
    # Given
    codes = {NAMES.dead_letters: 403, NAMES.queue("query"): 404}
    # When
    with pytest.raises(PermanentError) as refused:
        declare(codes)
    # Then
    assert "missing on the broker: queue site.query;" in str(refused.value)
