"""How long a pause held a job, and how it is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.database.models.pause import Pause, read_pause, time_held

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def since(minutes: float) -> Pause:
    return Pause("physicist", NOON + timedelta(minutes=minutes), f"pause-{minutes}")


def test_a_pause_is_read_as_it_was_kept():
    pause = since(1.5)
    assert read_pause(pause.to_json()) == pause
    assert read_pause(None) is None


def test_a_sentence_names_who_paused_and_since_when():
    assert str(since(0)) == "paused by physicist since 2026-11-26T12:00:00Z"
    assert str(Pause("", NOON, "p")) == "paused since 2026-11-26T12:00:00Z"


@pytest.mark.parametrize(
    ("ended", "others", "held"),
    [
        pytest.param(0, [], 10, id="alone"),
        pytest.param(2, [0], 0, id="within another"),
        pytest.param(0, [4], 4, id="until another began"),
        pytest.param(0, [7, 4], 4, id="until the first of others began"),
    ],
)
def test_what_another_pause_covers_is_left_to_its_end(ended, others, held):
    # When
    time = time_held(since(ended), [since(minutes) for minutes in others], NOON + timedelta(minutes=10))
    # Then
    assert time == timedelta(minutes=held)
