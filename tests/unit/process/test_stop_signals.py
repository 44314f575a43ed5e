"""A process that gets a signal to stop stops, whenever it comes."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Tells itself to stop again and again, each time at another moment on the way into the wait.
STOPPED_AT_ANY_MOMENT = """
import os, signal, threading, time
from shared.process.stop_signals import stop_on_signals
stops = 0
for round_ in range(400):
    stop = threading.Event()
    stop_on_signals(stop)
    def tell(until=time.perf_counter() + round_ * 2e-6):
        while time.perf_counter() < until:
            pass
        os.kill(os.getpid(), signal.SIGTERM)
    teller = threading.Thread(target=tell)
    teller.start()
    stop.wait()
    teller.join()
    stops += 1
print(stops)
"""
STOPPED_TWICE = """
import os, signal, threading
from shared.process.stop_signals import stop_on_signals
stop = threading.Event()
stop_on_signals(stop)
os.kill(os.getpid(), signal.{number})
stop.wait()
os.kill(os.getpid(), signal.{number})
threading.Event().wait(30)
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


def test_wait_ends_whenever_the_signal_comes():
    # When
    done = run(STOPPED_AT_ANY_MOMENT)

    # Then
    assert (done.returncode, done.stdout, done.stderr) == (0, "400\n", "")


@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_second_signal_ends_the_process_at_once(number, code):
    # When
    done = run(STOPPED_TWICE.format(number=number))

    # Then
    assert (done.returncode, done.stderr) == (code, "")
