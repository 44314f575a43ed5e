"""The state of a line from the studies it names, and totals."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.evidence.reconciliation import (
    Detail,
    LineState,
    ReconciledLine,
    StudyState,
    reconcile_line,
    totals,
)
from shared.evidence.ris_list import RisLine

LINE = RisLine(1, "A1")
ABSENT = (LineState.NOT_IN_PACS, Detail.DAY_COMPLETE)


def test_without_a_study_its_absence_counts():
    entry = reconcile_line(LINE, [], ABSENT)
    assert (entry.state, entry.detail, entry.study) == (*ABSENT, None)


@pytest.mark.parametrize(
    ("states", "best"),
    [
        (["has_dose", "no_dose_object"], "has_dose"),
        (["no_dose_object", "not_retrieved"], "not_retrieved"),
        (["not_asked", "no_dose_object"], "no_dose_object"),
    ],
)
def test_of_several_studies_the_best_counts(states, best):
    studies = [StudyState(f"1.{number}", LineState(state)) for number, state in enumerate(states)]
    assert reconcile_line(LINE, studies, ABSENT).state == best


entries = st.lists(
    st.builds(
        lambda state, room, day: ReconciledLine(RisLine(1, "A", day=day, room=room), state),
        st.sampled_from(LineState),
        st.sampled_from(["", "R1", "R2"]),
        st.none() | st.dates(dt.date(2026, 1, 1), dt.date(2026, 3, 1)),
    )
)


@given(entries)
def test_rooms_and_weeks_add_up_to_all_lines(lines):
    # When
    counted = totals(lines)
    # Then
    for groups in (counted.by_room, counted.by_week):
        for state in LineState:
            assert sum(counts.get(state, 0) for counts in groups.values()) == counted.all.get(state, 0)
    assert sum(counted.all.values()) == len(lines)
