"""Dead letters of RabbitMQ: reading them never loses one, whatever happens meanwhile."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shared.broker.rabbitmq import dead_letters
from shared.broker.rabbitmq.broker import RabbitBroker
from shared.broker.rabbitmq.connection import connect, parse_address
from shared.broker.topology import DEAD_LETTERS
from shared.errors import BrokerAwayError
from tests.contract.test_broker_contract import bury
from tests.support.servers.rabbitmq import a_message
from tests.support.waiting import wait_until


@pytest.fixture
def rabbit(rabbitmq_url, amqp_prefix):
    """A declared RabbitMQ broker."""
    broker = RabbitBroker(rabbitmq_url, amqp_prefix)
    broker.declare()
    yield broker
    broker.close()


#: Takes one message in hand, says so and waits to be killed.
READER = """
import sys, time
from shared.broker.rabbitmq.connection import connect, parse_address
channel = connect(parse_address(sys.argv[1]), "test").channel()
assert channel.basic_get(sys.argv[2])[0] is not None
print("in hand", flush=True)
time.sleep(60)
"""


def listed(broker: RabbitBroker) -> list[str]:
    return sorted(letter.message.message_id for letter in broker.dead_letters(10))


def test_message_returned_often_becomes_a_fresh_copy(rabbit, monkeypatch, rabbitmq_url, amqp_prefix):
    # Given
    monkeypatch.setattr(dead_letters, "REFRESH_AFTER_RETURNS", 3)
    bury(rabbit, a_message("m1"), a_message("m2"))
    # When
    lists = [listed(rabbit) for _ in range(10)]
    # Then
    assert lists == [["m1", "m2"]] * 10
    connection = connect(parse_address(rabbitmq_url), "test")
    try:
        channel = connection.channel()
        for _ in range(2):
            _, properties, _ = channel.basic_get(f"{amqp_prefix}.{DEAD_LETTERS}")
            assert (properties.headers or {}).get("x-delivery-count", 0) <= 3
            assert properties.headers["x-doseqr-reason"] == "no such node: 7"
    finally:
        connection.close()


def test_reader_that_dies_leaves_every_message(rabbit, rabbitmq_url, amqp_prefix):
    # Given
    bury(rabbit, a_message("m1"), a_message("m2"))
    command = [sys.executable, "-c", READER, rabbitmq_url, f"{amqp_prefix}.{DEAD_LETTERS}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"in hand\n"
        assert rabbit.queue_state(DEAD_LETTERS).ready == 1
        # When
        reader.kill()
    # Then
    wait_until(lambda: rabbit.queue_state(DEAD_LETTERS).ready == 2)
    assert listed(rabbit) == ["m1", "m2"]


def test_replay_that_is_not_confirmed_leaves_the_message(rabbit, monkeypatch):
    # Given
    bury(rabbit, a_message("m1"))
    letter = rabbit.dead_letters(1)[0]

    def away(message):
        raise BrokerAwayError("not confirmed")

    with monkeypatch.context() as patch:
        patch.setattr(rabbit, "command", away)
        # When
        with pytest.raises(BrokerAwayError):
            rabbit.replay_dead_letter(letter.id)
    # Then
    wait_until(lambda: listed(rabbit) == ["m1"])
