"""Each odd response to a C-FIND (responses.py, character_sets.py) leads to its result."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.dicom.association.c_find import open_find_association
from shared.dicom.peer import Timeouts
from shared.dicom.query.identifiers import study_identifier
from shared.dicom.query.matches import study_match
from tests.matrix.character_sets import CHARACTER_SET_ROWS
from tests.matrix.responses import RESPONSE_ROWS, ResponseRow
from tests.matrix.rows import name_of
from tests.support.peers.byte_pacs import StrangePacs, respond_with

ROWS = [*RESPONSE_ROWS, *CHARACTER_SET_ROWS]
QUICK = Timeouts(connect_s=2.0, response_s=1.0)


@pytest.mark.parametrize("row", ROWS, ids=map(name_of, ROWS))
def test_a_response_leads_to_its_result(strange_pacs: Callable[..., StrangePacs], row: ResponseRow) -> None:
    # Given
    association = open_find_association(strange_pacs(respond_with(row.stream)).peer, QUICK)
    # When
    result = association.c_find(study_identifier(), study_match)
    association.release()
    # Then
    assert tuple(result.matches) == row.matches
    assert (result.complete, result.status_code) == (row.complete, row.status_code)
