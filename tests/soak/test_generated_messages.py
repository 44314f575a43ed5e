"""The long form: 10,000 messages that are built from the JSON Schemas alone."""

from __future__ import annotations

import pytest

from shared.broker.memory.broker import MemoryBroker
from tests.bench.table import print_table
from tests.support.messages.flood import flood
from tests.support.services.in_process import System

MESSAGES = 10_000


@pytest.mark.timeout(3600)
def test_ten_thousand_messages_are_each_accepted_or_rejected(flooded: tuple[System, MemoryBroker]) -> None:
    # When
    counted = flood(*flooded, MESSAGES, seed=2)
    # Then
    assert counted.total() == MESSAGES
    print_table("Messages from the schemas", ("outcome", "messages"), sorted(counted.items()))
