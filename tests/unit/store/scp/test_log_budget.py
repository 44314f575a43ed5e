"""Bad connections are logged, but not each of thousands."""

from __future__ import annotations

from structlog.testing import capture_logs

from services.store.scp.log_budget import MAX_LINES, PERIOD_S, LogBudget


def test_lines_beyond_the_bound_are_counted_in_the_next_period():
    # Given
    now = [0.0]
    budget = LogBudget(clock=lambda: now[0])
    # When
    with capture_logs() as lines:
        for number in range(1000):
            budget.warning("protocol error", number=number)
        budget.warning("timed out")
        now[0] = PERIOD_S
        budget.warning("protocol error", number=1000)
        budget.warning("protocol error", number=1001)
    # Then
    assert len(lines) == MAX_LINES + 3
    assert lines[MAX_LINES]["event"] == "timed out"
    assert lines[-2]["lines_left_out"] == 1000 - MAX_LINES
    assert "lines_left_out" not in lines[-1]
