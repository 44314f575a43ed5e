"""Processes of a system on one machine: started with their settings, ended with us."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from shared.private_files import make_private_folder
from shared.settings import Settings

#: Lines of a log that report trouble: structlog's levels, and the last line of a traceback.
_TROUBLE = re.compile(r'"level": "(error|critical)"|^\w*(Error|Exception)\b')
#: How long a process may take to end by itself.
STOP_TIMEOUT_S = 40.0


@contextlib.contextmanager
def process(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command, its output going to the end of a file; it is ended at the end of the block.

    Variables are added by env(1), so that the settings stay the one reader of the environment.
    """
    make_private_folder(log.parent)
    with log.open("ab") as output:
        started = subprocess.Popen(  # noqa: S603 - our own commands
            ended_with_us(with_environment(command, environment or {})),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        end(started)


def with_environment(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the command with variables added to those that it inherits."""
    if not environment:
        return list(command)
    return ["env", *(f"{name}={value}" for name, value in environment.items()), *command]


def ended_with_us(command: Sequence[str]) -> list[str]:
    """Return the command such that Linux ends it when we are killed without a chance to do it."""
    guard = shutil.which("setpriv")
    return [guard, "--pdeathsig", "TERM", *command] if guard else list(command)


def end(started: subprocess.Popen[bytes]) -> None:
    """Terminate a process, and kill it if it does not end."""
    if started.poll() is not None:
        return
    started.terminate()
    try:
        started.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def last_lines(log: Path, number: int = 8) -> str:
    """Return the last lines of a log that report trouble, or simply the last if none does."""
    with contextlib.suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        trouble = [line for line in lines if _TROUBLE.search(line)]
        return "\n".join((trouble or lines)[-number:])
    return ""


def can_listen(host: str, port: int) -> bool:
    """Return whether a TCP port is free for us."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def given_url(settings: Settings) -> str | None:
    """Return the broker's URL if it was given, not the default."""
    given = settings.model_fields_set & {"amqp_url", "amqp_user", "amqp_password"}
    return settings.broker_url if given else None


@contextlib.contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that everything that was started is ended."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Keep a second Ctrl-C from cutting the end short."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
