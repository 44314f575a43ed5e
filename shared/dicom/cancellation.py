"""Stopping DICOM work from another thread."""

from __future__ import annotations

import threading


class Cancellation:
    """Set once by the side that wants work to stop; checked by the work while it waits for its peer.

    `reason` is one of `cancelled` (somebody ended the job), `paused` (somebody paused it, or a node that it
    needs), `stopping` (this process ends), `lost` (another worker has taken the task over).
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason = ""

    def cancel(self, reason: str) -> None:
        """Stop the work; the first reason stands."""
        if not self._event.is_set():
            self.reason = reason
            self._event.set()

    @property
    def requested(self) -> bool:
        """Whether the work should stop."""
        return self._event.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the cancellation, at most `timeout_s` seconds; return whether it was set."""
        return self._event.wait(timeout_s)
