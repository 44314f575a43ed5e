"""The demo PACS as a process of its own, with our store as a destination."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from services.cli.commands.serve import command_line
from services.cli.local.private_rabbitmq import is_listening
from services.cli.local.processes import last_lines, process
from services.cli.output.exit_codes import FAILED, CommandError
from shared.settings import Settings

#: How long it may take to make up its studies.
START_TIMEOUT_S = 30.0
POLL_INTERVAL_S = 0.05


@contextlib.contextmanager
def demo_pacs(settings: Settings, port: int, log: Path) -> Iterator[None]:
    """Run the demo PACS on this port of 127.0.0.1 for the time of the block.

    Raises:
        CommandError: it ended, or did not begin to listen.
    """
    store = f"{settings.store_ae_title}={settings.store_address}:{settings.store_port}"
    command = command_line("simulate", "--port", str(port), "--destination", store)
    with process(command, log) as started:
        _await(started, port, log)
        yield


def _await(started: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_listening(port):
        if started.poll() is not None or time.monotonic() > deadline:
            raise CommandError(
                FAILED, "failed", f"The demo PACS did not begin to listen on port {port}:\n{last_lines(log)}"
            )
        time.sleep(POLL_INTERVAL_S)
