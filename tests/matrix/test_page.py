"""The fault matrix is large enough, says no more than it runs, and stands in docs/faults.md."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.matrix.page import PAGE, text_of_page
from tests.matrix.parts import PARTS, Part
from tests.matrix.query import NOTHING, QueryRow
from tests.matrix.retrieve import Row as RetrieveRow
from tests.matrix.rows import name_of


def test_the_page_shows_the_rows_as_they_are():
    assert PAGE.read_text(encoding="utf-8") == text_of_page(), "run `make golden`"


def test_the_matrix_has_at_least_160_rows():
    assert sum(len(part.rows) for part in PARTS) >= 160


@pytest.mark.parametrize("part", PARTS, ids=[part.name for part in PARTS])
def test_a_part_has_its_rows_and_none_twice(part: Part):
    # When
    names = Counter(name_of(row) for row in part.rows)
    # Then
    assert len(names) >= part.least
    assert [name for name, count in names.items() if count > 1] == []


def test_no_row_is_completed_with_something_missing():
    # When
    rows = [row for part in PARTS for row in part.run]
    wrong = [name_of(row) for row in rows if _may_complete(row) and not _misses_nothing(row)]
    # Then
    assert wrong == []


def _may_complete(row: object) -> bool:
    return (isinstance(row, QueryRow) and "completed" in row.statuses) or (
        isinstance(row, RetrieveRow) and row.status == "completed"
    )


def _misses_nothing(row: object) -> bool:
    return (isinstance(row, QueryRow) and row.missing == NOTHING) or (
        isinstance(row, RetrieveRow) and not row.lost
    )
