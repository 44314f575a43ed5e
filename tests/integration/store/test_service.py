"""The store as it is run: a process of its own, a real RabbitMQ, its environment, its signals."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shared.broker.rabbitmq.broker import RabbitBroker
from tests.support.peers.storage_scu import Scu
from tests.support.ports import free_port
from tests.support.services.store import CT_EXPLICIT, Announced, made_object
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]


@pytest.fixture
def environment(tmp_path, rabbitmq_url, amqp_prefix):
    return os.environ | {
        "DOSEQR_AMQP_URL": rabbitmq_url,
        "DOSEQR_AMQP_PREFIX": amqp_prefix,
        "DOSEQR_DATA_DIR": str(tmp_path / "data"),
        "DOSEQR_DATABASE_URL": "",
        "DOSEQR_STORE_HOST": "127.0.0.1",
        "DOSEQR_STORE_PORT": str(free_port()),
    }


def run(environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        command = [sys.executable, "-m", "services.store.main"]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)


def test_the_service_stores_announces_and_ends_on_sigterm(environment, tmp_path):
    # Given
    log, port = tmp_path / "log", int(environment["DOSEQR_STORE_PORT"])
    broker = RabbitBroker(environment["DOSEQR_AMQP_URL"], environment["DOSEQR_AMQP_PREFIX"])
    broker.declare()
    announced = Announced(broker)
    process = run(environment, log)
    try:
        wait_until(lambda: '"listening"' in log.read_text())
        # When
        with Scu(port, [CT_EXPLICIT]) as scu:
            assert [made_object(n).send(scu) for n in range(3)] == [0, 0, 0]
        # Then
        wait_until(lambda: len(announced.uids) == 3)
        process.terminate()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        announced.close()
        broker.close()


def test_the_service_ends_with_5_and_a_sentence_if_its_port_is_taken(environment, tmp_path):
    # Given
    with socket.create_server(("127.0.0.1", int(environment["DOSEQR_STORE_PORT"]))):
        # When
        process = run(environment, tmp_path / "log")
        # Then
        assert process.wait(timeout=60) == 5
    assert f"127.0.0.1:{environment['DOSEQR_STORE_PORT']} is taken" in (tmp_path / "log").read_text()
