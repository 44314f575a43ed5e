"""The process that reads dose reports, seen from the store: started when needed, ended when idle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import cast

import structlog

from services.store.dose_reports.read_result import ReadResult

log = structlog.get_logger(__name__)

#: Seconds that one report may take, mostly for lack of processors: `limits.MAX_CPU_S` ends one that computes.
READ_TIMEOUT_S = 300.0
#: Seconds without a report after which the process is ended: it holds some 50 MB.
IDLE_S = 60.0


class ReadFailedError(Exception):
    """The process died over a report, or took too long."""


class ReaderProcess:
    """Has reports read, one at a time; used by one thread, ended by any."""

    def __init__(self, *, timeout_s: float = READ_TIMEOUT_S, idle_s: float = IDLE_S) -> None:
        self._longest_s = timeout_s
        self._idle_s = idle_s
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[bytes, bytes] | None = None
        self._used_at = 0.0
        self._ended = False
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Process id while there is one."""
        process = self._process
        return process.pid if process is not None else None

    def read(self, path: Path) -> ReadResult:
        """Read a report.

        Raises:
            ReadFailedError: the process died or took too long; the next report gets a new one.
        """
        try:
            reading = self._request(self._started(), path)
        except ReadFailedError:
            self.close()
            raise
        self._used_at = time.monotonic()
        return reading

    def _request(self, connection: Connection[bytes, bytes], path: Path) -> ReadResult:
        try:
            connection.send_bytes(os.fsencode(path))
            if connection.poll(self._longest_s):
                return cast("ReadResult", json.loads(connection.recv_bytes()))
        except (EOFError, OSError) as error:
            raise ReadFailedError("the process ended") from error
        raise ReadFailedError(f"not read within {self._longest_s:g} s")

    def end_if_idle(self) -> None:
        """End the process if it had nothing to do for long."""
        if self._process is not None and time.monotonic() - self._used_at >= self._idle_s:
            self.close()

    def end(self) -> None:
        """End the process for good, whatever it is about."""
        with self._lock:
            self._ended = True
            process = self._process
        if process is not None:
            process.kill()

    def _started(self) -> Connection[bytes, bytes]:
        if self._connection is not None:
            return self._connection
        with self._lock:
            if self._ended:
                raise ReadFailedError("the store is stopping")
            ours, theirs = Pipe()
            with theirs:
                # Its own session: Ctrl-C ends us, and the end of the connection ends it.
                self._process = subprocess.Popen(  # noqa: S603 - our own command
                    [sys.executable, "-m", "services.store.dose_reports.reader_main", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        self._connection = ours
        log.debug("report reader started", pid=self._process.pid)
        return ours

    def close(self) -> None:
        """Leave no process behind; by the thread that has reports read."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
