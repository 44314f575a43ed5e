"""Handing a batch over to a program: an argument list, no shell, the paths on its standard input."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from services.store.handover.model import Batch, HandoverError, InterruptedHandoverError

#: All that the program gets to see of the environment: the service's own holds passwords.
ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8"}
_PLACEHOLDER = re.compile(r"\{(?:batch|job|study|count)\}")
#: Seconds between two checks whether the service ends.
_POLL_INTERVAL_S = 0.25
#: Seconds between SIGTERM and SIGKILL.
_TERM_S = 2.0


class CommandSender:
    """Runs the program once for each batch; exit code 0 means that it has taken it."""

    def __init__(
        self,
        arguments: Sequence[str],
        root: Path,
        *,
        timeout_s: float,
        stopping: threading.Event,
        output: int = subprocess.DEVNULL,
    ) -> None:
        """`{batch}`, `{job}`, `{study}` and `{count}` in an argument stand for those of the batch.

        `output`: the file descriptor of what it writes. That may name patients, so it usually goes nowhere.
        """
        self._arguments = tuple(arguments)
        self._root = root
        self._timeout_s = timeout_s
        self._stopping = stopping
        self._output = output

    def __call__(self, batch: Batch) -> None:
        """Run the program.

        Raises:
            HandoverError: it could not be started, did not end in time, or ended with another code than 0.
            InterruptedHandoverError: the service ends.
        """
        descriptor = os.memfd_create("paths")
        try:
            os.write(descriptor, "".join(f"{path}\n" for path in batch.paths(self._root)).encode())
            os.lseek(descriptor, 0, os.SEEK_SET)
            process = self._start(arguments_for(self._arguments, batch), descriptor)
        finally:
            os.close(descriptor)
        try:
            code = self._ended(process)
        finally:
            _end(process)
        if code:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise HandoverError("exit_code", f"The program ended with {how}.")

    def _start(self, arguments: Sequence[str], descriptor: int) -> subprocess.Popen[bytes]:
        try:
            # The session is its own, to end all of it.
            return subprocess.Popen(  # noqa: S603 - the administrator's own argument list, no shell
                arguments,
                stdin=descriptor,
                stdout=self._output,
                stderr=self._output,
                env=ENVIRONMENT,
                cwd=self._root,
                start_new_session=True,
            )
        except OSError as error:
            problem = f"The program could not be started: {error.strerror}."
            raise HandoverError("not_started", problem) from error

    def _ended(self, process: subprocess.Popen[bytes]) -> int:
        deadline = time.monotonic() + self._timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(min(_POLL_INTERVAL_S, left_s))
            if self._stopping.is_set():
                raise InterruptedHandoverError("the service ends")
        raise HandoverError("timed_out", f"The program did not end within {self._timeout_s:g} s.")


def arguments_for(arguments: Sequence[str], batch: Batch) -> list[str]:
    """Return the argument list with the placeholders filled in; nothing else in braces is touched."""
    values = {
        "{batch}": batch.id,
        "{job}": batch.job_id,
        "{study}": batch.study_instance_uid,
        "{count}": str(len(batch.objects)),
    }
    return [_PLACEHOLDER.sub(lambda found: values[found[0]], argument) for argument in arguments]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and what it has started, if it still runs."""
    if process.poll() is not None:
        return
    for number, grace_s in ((signal.SIGTERM, _TERM_S), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
            return
