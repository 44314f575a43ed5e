"""Lines of CSV for spreadsheets."""

from __future__ import annotations

import csv

from hypothesis import given
from hypothesis import strategies as st

from shared.evidence.csv_text import csv_line


def test_no_cell_is_taken_for_a_formula():
    assert csv_line(["=1+1", "-x", 'a"b', None, True, 3]) == '\'=1+1,\'-x,"a""b",,yes,3\r\n'


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=2))
def test_a_line_reads_back_as_its_cells(cells):
    (read,) = csv.reader([csv_line(cells)])
    assert [cell.removeprefix("'") for cell in read] == [cell.removeprefix("'") for cell in cells]
