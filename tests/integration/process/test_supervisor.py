"""Processes that belong together: restarted when they die, ended together, and never left behind."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.cli.local.processes import process
from shared.process.supervisor import Supervisor, children_of
from tests.support.waiting import wait_until

STUBBORN = "trap '' TERM; echo ready >> {}; while :; do sleep 0.05; done"
OBEDIENT = "trap 'echo ended >> {0}; exit 0' TERM; echo ready >> {0}; while :; do sleep 0.05; done"
CHILD = "import os, signal; from services.cli.commands.serve import end_with; end_with({}); signal.pause()"
PARENT = """
import subprocess, sys, os
child = subprocess.Popen([sys.executable, "-c", {!r}.format(os.getpid())], start_new_session=True)
print(child.pid, flush=True)
sys.stdin.readline()
"""


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def alive(pid: int) -> bool:
    """Return whether a process runs; one that nobody has waited for yet (state Z of proc(5)) does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(") ")[2][0] != "Z"


@contextmanager
def supervised(commands: Mapping[str, Sequence[str]], grace_s: float = 5.0) -> Iterator[Supervisor]:
    supervisor = Supervisor(children_of(commands), grace_s, first_pause_s=0.01)
    stopping = threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(stopping,))
    thread.start()
    try:
        yield supervisor
    finally:
        stopping.set()
        thread.join()


def test_a_child_that_dies_is_started_again(tmp_path: Path) -> None:
    # Given
    log_file = tmp_path / "log_file"
    # When
    with supervised({"dying": ["sh", "-c", f"echo started >> {log_file}; exit 1"]}):
        # Then
        wait_until(lambda: len(lines(log_file)) >= 3)


def test_children_get_a_signal_to_end(tmp_path: Path) -> None:
    # Given
    log_file = [tmp_path / "one", tmp_path / "two"]
    # When
    with supervised({path.name: ["sh", "-c", OBEDIENT.format(path)] for path in log_file}):
        wait_until(lambda: all(lines(path) == ["ready"] for path in log_file))
    # Then
    assert [lines(path) for path in log_file] == [["ready", "ended"]] * 2


def test_a_child_that_does_not_end_is_killed(tmp_path: Path) -> None:
    # Given
    log_file = tmp_path / "log_file"
    # When
    with supervised({"stubborn": ["sh", "-c", STUBBORN.format(log_file)]}, grace_s=0.2) as supervisor:
        # The child may be ready before its process is noted.
        wait_until(lambda: lines(log_file) == ["ready"] and "stubborn" in supervisor.pids)
        pid = supervisor.pids["stubborn"]
    # Then
    assert not alive(pid)


def test_a_service_ends_when_its_parent_is_gone() -> None:
    # Given
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    # When
    parent.kill()
    parent.communicate()
    # Then
    wait_until(lambda: not alive(child))


def test_a_process_gets_its_variables_and_ends_with_the_block(tmp_path: Path) -> None:
    # Given
    log = tmp_path / "logs" / "out"
    # When
    with process(["sh", "-c", "echo $GREETING; exec sleep 60"], log, {"GREETING": "hello"}) as started:
        wait_until(lambda: lines(log) == ["hello"])
    # Then
    assert started.returncode is not None
