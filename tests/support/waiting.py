"""Waiting for a condition instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds between two polls; shorter ones load the machine more than they save.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 0.03


def wait_until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Return once the condition holds; fail after a generous deadline."""
    began = time.monotonic()
    while not condition():
        waited_s = time.monotonic() - began
        assert waited_s < timeout_s, "the condition did not come true in time"
        time.sleep(min(max(_FIRST_PAUSE_S, waited_s / 20), _LONGEST_PAUSE_S))
