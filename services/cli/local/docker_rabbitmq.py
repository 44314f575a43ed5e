"""RabbitMQ in a container, where Docker is there."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from services.cli.local.ports import free_ports
from services.cli.local.private_rabbitmq import NodeError
from shared.broker.rabbitmq.connection import can_open

#: The official image.
IMAGE = "rabbitmq:4"

#: Seconds for the engine to respond, to fetch and start the image, for the broker in it, and to end it.
ENGINE_TIMEOUT_S = 10.0
RUN_TIMEOUT_S = 300.0
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0

#: Seconds between two polls of the starting broker.
POLL_INTERVAL_S = 0.25


@contextlib.contextmanager
def docker_node(work_dir: Path) -> Iterator[tuple[str, int]]:
    """Run RabbitMQ in a container and yield its URL and port; it is removed afterwards.

    Raises:
        NodeError: there is no engine or image, or the broker does not respond.
    """
    docker("info", timeout_s=ENGINE_TIMEOUT_S)
    password = secrets.token_urlsafe(18)
    port = free_ports(1)[0]
    name = f"doseqr-rabbitmq-{port}-{secrets.token_hex(4)}"
    try:
        _run(work_dir, name, port, password)
        url = f"amqp://doseqr:{password}@127.0.0.1:{port}/%2f"
        _await_login(url)
        yield url, port
    finally:
        # By name, since a container may have been made although its start was cut short.
        with contextlib.suppress(NodeError):
            docker("rm", "--force", "--volumes", name, timeout_s=STOP_TIMEOUT_S)


def _run(work_dir: Path, name: str, port: int, password: str) -> None:
    work_dir.mkdir(parents=True, exist_ok=True)
    # In a file of mode 0600 that is gone at once: arguments can be read by everybody.
    with tempfile.NamedTemporaryFile("w", dir=work_dir, suffix=".env", encoding="utf-8") as variables:
        variables.write(f"RABBITMQ_DEFAULT_USER=doseqr\nRABBITMQ_DEFAULT_PASS={password}\n")
        variables.flush()
        docker(
            "run", "--rm", "--detach", "--name", name, "--publish", f"127.0.0.1:{port}:5672",
            "--env-file", variables.name, IMAGE, timeout_s=RUN_TIMEOUT_S,
        )  # fmt: skip


def _await_login(url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not can_open(url):
        if time.monotonic() > deadline:
            raise NodeError(f"RabbitMQ in the container did not respond within {START_TIMEOUT_S:.0f} s")
        time.sleep(POLL_INTERVAL_S)


def docker(*arguments: str, timeout_s: float) -> None:
    """Run a docker command.

    Raises:
        NodeError: it fails or takes too long.
    """
    try:
        subprocess.run(  # noqa: S603 - docker as found on the PATH, arguments from us
            ["docker", *arguments],  # noqa: S607
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=True,
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise NodeError(f"docker {arguments[0]} failed") from error
