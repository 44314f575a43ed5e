"""The fault matrix is large enough, names tests that exist, and stands in docs/faults.md."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.matrix.page import PAGE, text_of_page
from tests.matrix.parts import PARTS, Part
from tests.matrix.query.row import NOTHING, QueryRow
from tests.matrix.retrieve.moves import Row as RetrieveRow
from tests.matrix.rows import name_of

ROOT = Path(__file__).parents[2]
#: Seconds until the collection of the named tests is given up.
COLLECTION_S = 100.0


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


def test_each_named_test_is_collected():
    # Given
    proofs = {row.proof for part in PARTS for row in part.proven}
    named = {proof.split("::")[0] for proof in proofs}
    modules = sorted(module for module in named if (ROOT / module).exists())

    # When
    collected = collect(modules)

    # Then
    assert sorted(proofs - collected) == []


def collect(modules: list[str]) -> set[str]:
    """Return the node ids of the tests of these modules, with and without their parameters."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=COLLECTION_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    node_ids = {line for line in ended.stdout.splitlines() if "::" in line}
    return node_ids | {re.sub(r"\[.*$", "", node_id) for node_id in node_ids}
