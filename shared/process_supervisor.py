"""Child processes that belong together: restarted when they die, ended together."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger(__name__)

#: Pauses before a child that died is started again; back to the first once it has lived long enough.
FIRST_PAUSE_S, LONGEST_PAUSE_S, GOOD_LIFE_S = 1.0, 30.0, 60.0
#: How often it is looked whether children live.
POLL_INTERVAL_S = 0.2


@dataclass
class _Child:
    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    first_pause_s: float = FIRST_PAUSE_S
    pause_s: float = FIRST_PAUSE_S
    start_at: float = field(default=0.0)


class Supervisor:
    """Runs one process for each command until told to stop; what does not end in `grace_s` is killed."""

    def __init__(
        self, commands: Mapping[str, Sequence[str]], grace_s: float, *, first_pause_s: float = FIRST_PAUSE_S
    ) -> None:
        self._children = [
            _Child(name, command, first_pause_s=first_pause_s, pause_s=first_pause_s)
            for name, command in commands.items()
        ]
        self._grace_s = grace_s

    def run(self, stopping: threading.Event) -> None:
        """Keep the children running until `stopping` is set, then end them."""
        try:
            while not stopping.is_set():
                for child in self._children:
                    _tend(child)
                stopping.wait(POLL_INTERVAL_S)
        finally:
            self._stop()

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the children that were started."""
        return {child.name: child.process.pid for child in self._children if child.process is not None}

    def _stop(self) -> None:
        running = [(child.name, child.process) for child in self._children if child.process is not None]
        for _, process in running:
            process.terminate()
        deadline = time.monotonic() + self._grace_s
        for name, process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("killing a service that does not end", child=name, pid=process.pid)
                process.kill()
                process.wait()


def _tend(child: _Child) -> None:
    now = time.monotonic()
    if child.process is not None:
        code = child.process.poll()
        if code is None:
            return
        child.process = None
        lived_s = now - child.started_at
        child.pause_s = child.first_pause_s if lived_s >= GOOD_LIFE_S else child.pause_s
        child.start_at = now + child.pause_s
        log.error("a service ended by itself", child=child.name, exit_code=code, again_in_s=child.pause_s)
        child.pause_s = min(child.pause_s * 2, LONGEST_PAUSE_S)
    if now >= child.start_at:
        # Its own session: Ctrl-C reaches the children once, through us, and not a second time as a signal of
        # the terminal, which would cut their grace period short.
        child.process = subprocess.Popen(child.command, start_new_session=True)  # noqa: S603 - our own command
        child.started_at = now
        log.info("started", child=child.name, pid=child.process.pid)
