"""Child processes that belong together: restarted when they die, ended together."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

#: Seconds before a child that died is started again: the first pause doubles up to the longest, and begins
#: anew once a child has lived for `GOOD_LIFE_S`.
FIRST_PAUSE_S, LONGEST_PAUSE_S, GOOD_LIFE_S = 1.0, 30.0, 60.0
#: Seconds between two polls of child processes.
POLL_INTERVAL_S = 0.2

Process = subprocess.Popen[bytes]


def _nothing(_process: Process) -> None:
    pass


@dataclass(frozen=True, slots=True)
class ChildProcess:
    """How one child is started and stopped, and what is done once it died."""

    name: str
    start: Callable[[], Process]
    #: Lets the child begin to end.
    stop: Callable[[Process], None] = Process.terminate
    #: Called when the child ended by itself, before it is started again.
    on_death: Callable[[Process], None] = _nothing


@dataclass(slots=True)
class _Life:
    """The present life of a child."""

    child: ChildProcess
    pause_s: float
    process: Process | None = None
    started_at: float = 0.0
    start_at: float = 0.0


class Supervisor:
    """Runs one process for each child until stopped; what does not end within `grace_s` is killed."""

    def __init__(
        self, children: Sequence[ChildProcess], grace_s: float, *, first_pause_s: float = FIRST_PAUSE_S
    ) -> None:
        self._lives = [_Life(child, first_pause_s) for child in children]
        self._grace_s = grace_s
        self._first_pause_s = first_pause_s

    def run(self, stopping: threading.Event) -> None:
        """Keep the children running until `stopping` is set, then end them."""
        try:
            self.keep(stopping)
        finally:
            self.stop()
            self.wait()

    def keep(self, stopping: threading.Event, at_poll: Callable[[], None] = lambda: None) -> None:
        """Keep the children running until `stopping` is set; `at_poll` is called after each poll."""
        while not stopping.is_set():
            for life in self._lives:
                self._tend(life)
            at_poll()
            stopping.wait(POLL_INTERVAL_S)

    def stop(self) -> None:
        """Let the children begin to end; `keep` must have returned."""
        for life in self._lives:
            if life.process is not None:
                life.child.stop(life.process)

    def wait(self) -> None:
        """Wait until the children have ended, and kill those that do not."""
        deadline = time.monotonic() + self._grace_s
        for life in self._lives:
            if life.process is None:
                continue
            try:
                life.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning(
                    "killing a process that does not end", process=life.child.name, pid=life.process.pid
                )
                life.process.kill()
                life.process.wait()

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the children that were started."""
        return {life.child.name: life.process.pid for life in self._lives if life.process is not None}

    def _tend(self, life: _Life) -> None:
        now = time.monotonic()
        if life.process is not None:
            if life.process.poll() is None:
                return
            self._bury(life, life.process, now)
        if now >= life.start_at:
            life.process = life.child.start()
            life.started_at = now
            log.info("process started", process=life.child.name, pid=life.process.pid)

    def _bury(self, life: _Life, process: Process, now: float) -> None:
        life.process = None
        life.child.on_death(process)
        if now - life.started_at >= GOOD_LIFE_S:
            life.pause_s = self._first_pause_s
        life.start_at = now + life.pause_s
        log.error(
            "a process ended by itself",
            process=life.child.name,
            exit_code=process.returncode,
            again_in_s=life.pause_s,
        )
        life.pause_s = min(life.pause_s * 2, LONGEST_PAUSE_S)


def children_of(commands: Mapping[str, Sequence[str]]) -> list[ChildProcess]:
    """Return a child for each command, by name."""
    return [ChildProcess(name, _starter(command)) for name, command in commands.items()]


def _starter(command: Sequence[str]) -> Callable[[], Process]:
    # Its own session: Ctrl-C reaches the children once, through us, and not a second time as a signal of the
    # terminal, which would cut their grace period short.
    return lambda: subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own command
