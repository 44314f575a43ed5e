"""Messages that are built from the JSON Schemas alone: each is accepted, or rejected with a reason."""

from __future__ import annotations

from shared.broker.memory.broker import MemoryBroker
from tests.support.messages.flood import flood
from tests.support.services.in_process import System

#: As many as take a second or two; tests/soak has 10,000.
MESSAGES = 150


def test_each_message_from_a_schema_is_accepted_or_rejected(flooded: tuple[System, MemoryBroker]) -> None:
    # When
    counted = flood(*flooded, MESSAGES)
    # Then
    assert counted.total() == MESSAGES
    assert min(counted["accepted"], counted["rejected"]) > MESSAGES // 20
