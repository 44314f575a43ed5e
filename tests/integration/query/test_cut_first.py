"""The order of slices: what the parts of one window prove saves the next windows from being cut."""

from __future__ import annotations

import datetime as dt

from tests.integration.query.test_query import ready
from tests.support.pacs import ct_study, days_of

FIRST, LAST = dt.date(2024, 1, 1), dt.date(2024, 3, 31)
SPAN = {"types": ["CT"], "date_from": str(FIRST), "date_until": str(LAST)}

#: 13 weeks of 60 studies, where 20 answers are believed at first: cut each down to that, and they are 91.
WEEKS, STUDIES = 13, 13 * 60
MOST_FINDS = 50


def test_parts_are_asked_before_the_windows_that_follow(system, scripted_pacs):
    # Given
    pacs = scripted_pacs(days_of(STUDIES, FIRST, LAST, ct_study))
    ready(system, pacs)
    # When
    query = system.finished_query(SPAN)
    # Then
    asked = [one for one in pacs.witness.requests if one.level == "STUDY"]
    assert query["status"] == "completed"
    assert query["counts"]["found"] == STUDIES
    assert WEEKS <= len(asked) <= MOST_FINDS
