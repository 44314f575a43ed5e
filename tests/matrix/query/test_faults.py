"""Each fault of a C-FIND (faults.py) leads to its end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.matrix.query.check import check_row
from tests.matrix.query.faults import FAULT_ROWS
from tests.matrix.query.row import QueryRow
from tests.matrix.rows import name_of
from tests.support.jobs.ward import Desk

#: pydicom warns of values in a match that it cannot read.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


@pytest.mark.parametrize("row", FAULT_ROWS, ids=map(name_of, FAULT_ROWS))
def test_a_fault_leads_to_its_ending(desk: Desk, row: QueryRow) -> None:
    check_row(row, desk)
