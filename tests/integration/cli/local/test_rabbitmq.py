"""A RabbitMQ for a machine that has none, as processes really started and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli.local.debian_package import services_forbidden
from services.cli.local.private_rabbitmq import (
    FOLDER_PREFIX,
    find_server_script,
    is_listening,
    remove_stale_folders,
)
from services.cli.local.rabbitmq import ensure_rabbitmq
from shared.broker.rabbitmq.connection import can_open
from tests.support.servers.rabbitmq import MISSING, skip_or_fail
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[4]

#: Starts a node in the folder given, prints its ports, and waits to be ended.
STARTER = """
import sys, time
from pathlib import Path
from services.cli.local.private_rabbitmq import find_server_script, private_node
from services.cli.local.rabbitmq import orderly_sigterm
with orderly_sigterm(), private_node(Path(sys.argv[1]), find_server_script()) as node:
    print(node.port, node.epmd_port, flush=True)
    time.sleep(300)
"""


@pytest.fixture
def script():
    found = find_server_script()
    if found is None:
        skip_or_fail(MISSING)
    return found


@pytest.fixture
def starter(script, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def test_given_url_is_used_as_it_is(tmp_path):
    # Given
    printed: list[str] = []
    # When
    with ensure_rabbitmq("amqp://elsewhere/", tmp_path, printed.append) as url:
        # Then
        assert url == "amqp://elsewhere/"
    assert len(printed) == 1


def test_without_any_broker_it_is_embedded_and_names_what_that_leaves_out(tmp_path):
    # Given
    printed: list[str] = []
    nothing = [lambda work_dir, report, stack: None]
    # When
    with ensure_rabbitmq(None, tmp_path, printed.append, nothing) as url:
        # Then
        assert url == "memory://"
    assert "Left out" in printed[-1]


def test_first_step_that_works_ends_with_the_context(tmp_path):
    # Given
    ended: list[str] = []

    def works(work_dir, report, stack):
        stack.callback(ended.append, "ended")
        return "amqp://here/"

    def never(work_dir, report, stack):
        raise AssertionError

    steps = [lambda work_dir, report, stack: None, works, never]
    # When
    with ensure_rabbitmq(None, tmp_path, lambda sentence: None, steps) as url:
        assert url == "amqp://here/"
        assert ended == []
    # Then
    assert ended == ["ended"]


def test_sigterm_ends_a_second_node_and_its_folder_alone(starter, rabbitmq_url, tmp_path):
    # Given
    port, epmd_port = map(int, starter.stdout.readline().split())
    assert is_listening(port)
    assert can_open(rabbitmq_url)
    # When
    starter.send_signal(signal.SIGTERM)
    # Then
    assert starter.wait(60) == 128 + signal.SIGTERM
    assert can_open(rabbitmq_url)
    assert not is_listening(port)
    assert not is_listening(epmd_port)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_sigkill_ends_the_node_too(starter):
    # Given
    port, epmd_port = map(int, starter.stdout.readline().split())
    # When
    starter.kill()
    # Then
    wait_until(lambda: not is_listening(port) and not is_listening(epmd_port))


def test_folder_of_a_dead_starter_is_removed_and_ours_kept(tmp_path):
    # Given
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    dead = tmp_path / f"{FOLDER_PREFIX}{gone.pid}-00"
    ours = tmp_path / f"{FOLDER_PREFIX}{os.getpid()}-00"
    for folder in (dead, ours):
        folder.mkdir()
    # When
    remove_stale_folders(tmp_path)
    # Then
    assert list(tmp_path.iterdir()) == [ours]


def test_services_are_forbidden_while_a_package_is_installed(tmp_path):
    # Given
    policy = tmp_path / "policy-rc.d"
    # When
    with services_forbidden(policy):
        done = subprocess.run([policy], check=False).returncode
    # Then
    assert done == 101
    assert not policy.exists()


def test_policy_that_is_there_already_is_kept(tmp_path):
    # Given
    policy = tmp_path / "policy-rc.d"
    policy.write_text("theirs")
    # When
    with services_forbidden(policy):
        pass
    # Then
    assert policy.read_text() == "theirs"
