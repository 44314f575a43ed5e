"""Further processes that receive on the store's port: started, restarted when they die, ended together."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

from services.store.metrics.counters import StoreCounters
from shared.process.supervisor import ChildProcess, Process, Supervisor
from shared.settings import Settings

#: Seconds before a process that died is started again, the first time.
FIRST_PAUSE_S = 0.5
#: Seconds that a process may need to end once this one has ended what it had in hand itself.
STOP_SLACK_S = 10.0


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
        children = [self._child(row) for row in range(1, counters.rows)]
        self._supervisor = Supervisor(children, STOP_SLACK_S, first_pause_s=FIRST_PAUSE_S)
        self._scans_wanted = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._supervisor.keep,
            args=(self._stopping, self._check_receipts),
            name="receivers",
            daemon=True,
        )

    def start(self) -> None:
        """Start the processes."""
        if self._counters.rows > 1:
            self._thread.start()

    def dismiss(self) -> None:
        """Let them begin to end: each finishes what it has in hand."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._supervisor.stop()

    def wait(self) -> None:
        """Wait until they have ended; one that does not is killed."""
        self._supervisor.wait()

    def _check_receipts(self) -> None:
        if (wanted := self._counters["scans_wanted"]) != self._scans_wanted:
            self._scans_wanted = wanted
            self._on_missed()

    def _child(self, row: int) -> ChildProcess:
        def died(process: Process) -> None:
            _close_input(process)
            self._counters.gone(row)
            self._on_missed()

        return ChildProcess(f"receiver {row}", lambda: self._start(row), stop=_close_input, on_death=died)

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
