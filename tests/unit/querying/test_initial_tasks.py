"""The slices with which a query begins."""

from __future__ import annotations

import datetime as dt

import pytest

from shared.contract.criteria import parse_criteria
from shared.querying.initial_tasks import HEAD_START, WEB_HEAD_START, first_tasks, gives_head_start
from shared.querying.payloads import WindowSlice, read_slice
from shared.querying.profile import Profile

TODAY = dt.date(2026, 3, 1)


@pytest.mark.parametrize(
    ("first", "last"),
    [("0001-01-01", "9999-12-31"), ("1800-01-01", "2026-01-01"), ("2025-01-01", "9999-12-31")],
)
def test_the_slices_of_a_millennium_are_few_and_cover_all_that_was_requested(first, last):
    # Given
    criteria = parse_criteria({"types": ["CT"], "date_from": first, "date_until": last})
    # When
    parts = [read_slice(task.payload) for task in first_tasks(criteria, TODAY, Profile())]
    slices = [part.window for part in parts if isinstance(part, WindowSlice)]
    assert len(slices) == len(parts)
    # Then
    assert len(slices) < 1000
    start = slices[-1].date_from
    assert start is None or str(start) <= first
    assert slices[0].date_until is None or str(slices[0].date_until) >= min(last, "2036-01-01")


@pytest.mark.parametrize(
    ("types", "known", "waiting"),
    [
        (["CT", "MG"], Profile(), True),
        (["CT", "MG"], Profile(busiest=3.0), False),
        (["CT", "MG"], Profile(modalities_matched=False), False),
        (["MG"], Profile(), False),
    ],
)
def test_at_an_unknown_node_the_first_slice_has_a_head_start(types, known, waiting):
    # Given
    criteria = parse_criteria({"types": types, "date_from": "2026-01-01", "date_until": "2026-02-28"})
    for by_dicomweb, head_start in ((False, HEAD_START), (True, WEB_HEAD_START)):
        # When
        first, *others = first_tasks(criteria, TODAY, known, by_dicomweb=by_dicomweb)
        # Then
        assert first.delay_s == 0
        assert {task.delay_s for task in others} == {head_start.total_seconds() if waiting else 0}
    assert gives_head_start(criteria, known) is waiting


@pytest.mark.parametrize("named", [{"study_instance_uids": ["1.2", "1.3"]}, {"accession_numbers": ["1"]}])
def test_a_query_of_named_studies_gives_no_head_start(named):
    assert not gives_head_start(parse_criteria({"types": ["CT", "MG"], **named}), Profile())
