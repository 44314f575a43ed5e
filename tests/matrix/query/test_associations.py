"""Each fault of an association, each time-out and pair of faults (associations.py) leads to its end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.matrix.query.associations import ASSOCIATION_ROWS
from tests.matrix.query.check import check_row
from tests.matrix.query.row import QueryRow
from tests.matrix.rows import name_of
from tests.support.jobs.ward import Desk

#: pydicom warns of values in a match that it cannot read.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


@pytest.fixture(scope="module")
def hasty(make_desk: Callable[..., Desk]) -> Desk:
    """Return a desk with short time-outs, which a busy machine keeps all the same, and little patience."""
    return make_desk(dimse_timeout=1.5, connect_timeout=1.5, patience=1.0)


@pytest.mark.parametrize("row", ASSOCIATION_ROWS, ids=map(name_of, ASSOCIATION_ROWS))
def test_a_fault_leads_to_its_ending(desk: Desk, hasty: Desk, row: QueryRow) -> None:
    check_row(row, hasty if row.hasty else desk)
