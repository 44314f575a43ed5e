"""The order of slices: what the parts of one window prove saves the next windows from being cut."""

from __future__ import annotations

import datetime as dt

from tests.integration.query.test_query import ready
from tests.support.peers.studies import ct_study, days_of

FIRST, LAST = dt.date(2024, 1, 1), dt.date(2024, 3, 31)
SPAN = {"types": ["CT"], "date_from": str(FIRST), "date_until": str(LAST)}

#: 13 weeks of 60 studies, where 20 answers are believed at first.
STUDIES = 13 * 60


def days(study_date: str) -> int:
    """Return the days of a range of dates (DA)."""
    first, _, last = study_date.partition("-")
    return (dt.date.fromisoformat(last or first) - dt.date.fromisoformat(first)).days + 1


def test_parts_are_searched_before_the_windows_that_follow(system, scripted_pacs):
    # Given
    pacs = scripted_pacs(days_of(STUDIES, FIRST, LAST, ct_study))
    ready(system, pacs)
    # When
    query = system.finished_query(SPAN)
    # Then
    finds = [
        days(request.keys["StudyDate"][0]) for request in pacs.witness.requests if request.level == "STUDY"
    ]
    assert (query["status"], query["counts"]["found"]) == ("completed", STUDIES)
    last_whole_window = len(finds) - 1 - finds[::-1].index(7)
    parts = [width for width in finds[:last_whole_window] if width < 7]
    assert parts
