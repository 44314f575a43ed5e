"""The health check of the containers: it looks at the port of a service, without starting the application."""

from __future__ import annotations

import json
import queue
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.request import urlopen

import pytest

from shared.health import Health, HealthServer
from tests.support.ports import free_block, free_port
from tests.support.processes.installation import installed
from tests.support.waiting import wait_until

SCRIPT = Path(__file__).parents[3] / "deploy" / "healthcheck.py"


@pytest.fixture
def health():
    """The health of a service that is served on a port of its own."""
    health = Health()
    # The check requests from the ports behind it, too.
    server = HealthServer(health, "127.0.0.1", free_block()[0])
    server.start()
    health_port = server.port
    yield health, health_port
    server.stop()


def run_check(port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", "-X", "importtime", str(SCRIPT), *arguments]
    variables = {"DOSEQR_HEALTH_PORT": str(port)}
    return subprocess.run(command, env=variables, check=False, capture_output=True, text=True, timeout=30)


def test_a_service_that_is_ready_is_healthy(health):
    # When
    done = run_check(health[1])
    # Then
    assert done.returncode == 0
    assert '"ready": true' in done.stdout


def test_a_service_in_trouble_is_not_healthy_and_shows_why(health):
    # Given
    health[0].add_check("database", lambda: "it refuses the password")
    # When
    done = run_check(health[1])
    # Then
    assert done.returncode == 1
    assert "it refuses the password" in done.stdout


def test_a_service_that_does_not_listen_is_not_healthy():
    assert run_check(free_block()[0]).returncode == 1


def test_a_port_that_is_open_is_healthy(health):
    assert run_check(0, str(health[1])).returncode == 0
    assert run_check(0, "1").returncode == 1


def test_servers_are_awaited_until_all_of_them_listen(health):
    # Given
    later, listeners = free_port(), queue.Queue[socket.socket]()
    timer = threading.Timer(0.5, lambda: listeners.put(socket.create_server(("127.0.0.1", later))))
    timer.start()
    # When
    done = run_check(0, "--await", f"127.0.0.1:{health[1]}", f"127.0.0.1:{later}")
    # Then
    listeners.get(timeout=30).close()
    assert done.returncode == 0


def test_the_check_starts_nothing_of_the_application(health):
    # When
    imported = {line.rpartition("|")[2].strip() for line in run_check(health[1]).stderr.splitlines()}
    # Then
    assert "socket" in imported
    assert not {"typing", "json", "ssl", "shared", "services", "site"} & imported


def test_a_service_that_waits_for_its_broker_lives_and_is_not_ready(tmp_path):
    # Given
    port = free_block()[0]
    with installed(tmp_path, "amqp://127.0.0.1:1/", "nobody", DOSEQR_HEALTH_PORT=str(port)) as installation:
        service = installation.begin("serve", "echo")
        # When
        wait_until(lambda: '"waiting"' in service.text())
        with urlopen(f"http://127.0.0.1:{port}/health/live") as response:
            live = json.loads(response.read())
        done = run_check(port)
    # Then
    assert live == {"live": True}
    assert done.returncode == 1
    assert '"service": "it is starting"' in done.stdout
    assert "broker is away" in done.stdout
