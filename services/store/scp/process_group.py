"""Further processes that receive on the store's port: started, restarted when they die, ended together."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from services.store.metrics.counters import StoreCounters
from shared.settings import Settings

log = structlog.get_logger(__name__)

#: Pauses before a process that died is started again; back to the first once it has lived long enough.
FIRST_PAUSE_S, LONGEST_PAUSE_S, GOOD_LIFE_S = 0.5, 30.0, 60.0
#: Seconds between two checks whether they live.
POLL_INTERVAL_S = 0.2
#: What a process may need to end once this one has ended what it had in hand itself.
STOP_SLACK_S = 10.0


@dataclass
class _Member:
    row: int
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    start_at: float = 0.0


class ReceiverProcesses:
    """Keeps the processes running; each inherits the listening socket and has its row of the counters."""

    def __init__(
        self, settings: Settings, counters: StoreCounters, listener: int, on_missed: Callable[[], None]
    ) -> None:
        """`on_missed` is called when receipts may be lost: a process gave some up, or died."""
        self._settings = settings
        self._counters = counters
        self._listener = listener
        self._on_missed = on_missed
        self._members = [_Member(row) for row in range(1, counters.rows)]
        self._scans_wanted = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crew", daemon=True)

    def start(self) -> None:
        """Start the processes."""
        if self._members:
            self._thread.start()

    def dismiss(self) -> None:
        """Let them begin to end: each finishes what it has in hand."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for process in self._running():
            _close_input(process)

    def wait(self) -> None:
        """Wait until they have ended; one that does not is killed."""
        deadline = time.monotonic() + STOP_SLACK_S
        for process in self._running():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("killing a process that does not end", pid=process.pid)
                process.kill()
                process.wait()

    def _running(self) -> list[subprocess.Popen[bytes]]:
        return [member.process for member in self._members if member.process is not None]

    def _run(self) -> None:
        while not self._stopping.is_set():
            for member in self._members:
                self._tend(member)
            if (wanted := self._counters["scans_wanted"]) != self._scans_wanted:
                self._scans_wanted = wanted
                self._on_missed()
            self._stopping.wait(POLL_INTERVAL_S)

    def _tend(self, member: _Member) -> None:
        now = time.monotonic()
        if member.process is not None:
            code = member.process.poll()
            if code is None:
                return
            self._bury(member, code, now)
        if now >= member.start_at:
            member.process = self._start(member.row)
            member.started_at = now
            log.info("process started", pid=member.process.pid, process=member.row)

    def _bury(self, member: _Member, code: int, now: float) -> None:
        assert member.process is not None
        _close_input(member.process)
        member.process = None
        self._counters.gone(member.row)
        self._on_missed()
        if now - member.started_at >= GOOD_LIFE_S:
            member.pause_s = FIRST_PAUSE_S
        member.start_at = now + member.pause_s
        log.error("a process ended by itself", process=member.row, exit_code=code, again_in_s=member.pause_s)
        member.pause_s = min(member.pause_s * 2, LONGEST_PAUSE_S)

    def _start(self, row: int) -> subprocess.Popen[bytes]:
        descriptors = (self._listener, self._counters.descriptor)
        arguments = [*descriptors, self._counters.rows, row]
        # Its own session: Ctrl-C reaches it once, through us.
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "services.store.scp.receiver_process", *map(str, arguments)],
            stdin=subprocess.PIPE,
            pass_fds=descriptors,
            start_new_session=True,
        )
        assert process.stdin is not None
        # Not by command line or environment: passwords are in it.
        process.stdin.write(self._settings.model_dump_json().encode() + b"\n")
        process.stdin.flush()
        return process


def _close_input(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
