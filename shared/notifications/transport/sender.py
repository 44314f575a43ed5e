"""Sends notifications through processes of their own, which cannot hold up or harm their caller."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import asdict

import structlog

from shared.notifications.texts import NoticeText
from shared.notifications.transport.address import AddressPolicy, Target
from shared.notifications.transport.sender_main import SendRequest, SendResult

log = structlog.get_logger(__name__)

#: Seconds beside the time-out in which the process starts and reads its libraries.
STARTING_S = 15.0


class Sender:
    """Sends from any number of threads."""

    def __init__(self, policy: AddressPolicy, timeout_s: float, starting_s: float = STARTING_S) -> None:
        self._policy = policy
        self._timeout_s = timeout_s
        self._starting_s = starting_s
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    @property
    def longest_s(self) -> float:
        """Seconds after which a result is there in any case."""
        return self._timeout_s + self._starting_s

    def send(self, target: Target, text: NoticeText) -> SendResult:
        """Send a text to an address; never raises for what a server does."""
        # The mail server for plain e-mail addresses is the operator's choice, and may be on this machine.
        own = "://" not in target.shown
        hosts = [] if own else list(self._policy.hosts)
        request = SendRequest(
            target.url, text.title, text.body, self._timeout_s, hosts, self._policy.local or own
        )
        process = self._started()
        if process is None:
            return SendResult(False, "The service is stopping.")
        try:
            output, errors = process.communicate(json.dumps(asdict(request)), self.longest_s)
            return SendResult(**json.loads(output))
        except subprocess.TimeoutExpired:
            return SendResult(False, f"The server did not respond within {self.longest_s:g} s.")
        except (ValueError, TypeError):
            # What the process wrote may hold parts of the address.
            log.error("sender failed", exit_code=process.returncode, lines=errors.count("\n"))  # noqa: TRY400
            return SendResult(False, "The process that sends ended by itself; the address may be of no use.")
        finally:
            self._end(process)

    def stop(self) -> None:
        """End what is under way: it is sent again later."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            process.kill()

    def _started(self) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._stopped:
                return None
            # Its own session: Ctrl-C ends us, and we end it. The address never stands in its arguments.
            process = subprocess.Popen(
                [sys.executable, "-B", "-m", "shared.notifications.transport.sender_main"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
            self._running.add(process)
            return process

    def _end(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        with self._lock:
            self._running.discard(process)
