"""Python's collector of garbage: how often it looks for objects that only hold each other."""

from __future__ import annotations

import gc

#: Objects made between two passes, and passes over the young between two over older ones. With Python's own
#: numbers (700, 10, 10), an eighth of a start is spent on passes that find nothing.
THRESHOLDS = (20_000, 20, 20)


def collect_rarely() -> None:
    """Let the collector pass rarely; called first by each process of ours."""
    gc.set_threshold(*THRESHOLDS)
