"""Work that is done again and again."""

from __future__ import annotations

import threading

from shared.errors import DatabaseAwayError
from shared.process.periodic import Repeating


def test_it_goes_on_after_something_was_away():
    # Given
    calls: list[int] = []
    enough = threading.Event()

    def work() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise DatabaseAwayError("away")
        enough.set()

    repeating = Repeating("work", 0.001, work)
    # When
    repeating.start()
    # Then
    assert enough.wait(10)
    repeating.stop()
    done = len(calls)
    assert done >= 2
    assert len(calls) == done


def test_what_never_began_can_be_stopped():
    Repeating("work", 0.001, lambda: None).stop()
