"""What has to hold for a row of a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.matrix.query.row import QueryRow
from tests.support.jobs.ward import CRITERIA, WARD, Desk, check_against_truth, missing_windows


def check_row(row: QueryRow, desk: Desk) -> None:
    """Query a PACS with the traits and faults of a row, and hold the result against it."""
    # Given
    right = desk.right() if row.criteria == CRITERIA else None
    # When
    query = desk.run_query(row.traits, row.faults, criteria=row.criteria, learned=row.learned)
    # Then
    assert query["status"] in row.statuses
    assert row.failure is None or query["failure"] == row.failure
    _check_missing(row, query, check_against_truth(query, WARD, right, row.criteria))
    struck = desk.pacs[-1].faults_struck
    assert row.struck_at_least <= struck
    assert row.struck_at_most is None or struck <= row.struck_at_most
    assert row.finds_below is None or query["finds"] < row.finds_below


def _check_missing(row: QueryRow, query: Mapping[str, Any], lost: set[str]) -> None:
    if row.missing is not None:
        assert row.missing.at_least <= lost <= row.missing.at_most
        assert not row.missing.some or 0 < len(lost) < len(row.missing.at_most)
    if row.reason is not None:
        assert missing_windows(query) == []
        assert {gap["reason"] for gap in query["missing"]} == ({row.reason} if row.reason else set())
