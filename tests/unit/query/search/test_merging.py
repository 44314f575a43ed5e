"""When a result shows that a node does not match on codes."""

from __future__ import annotations

from services.query.search.merging import unmatched
from shared.dicom.query.matches import StudyMatch


def match(*modalities: str) -> StudyMatch:
    return StudyMatch("1.2.3", modalities or None)


def test_a_result_with_mostly_other_codes_was_not_matched():
    assert unmatched([match("MR"), match("US"), match("CR", "SR"), match("CT")], "CT")


def test_codes_that_are_not_returned_prove_nothing():
    assert not unmatched([match()] * 10, "CT")


def test_a_few_that_matched_by_a_part_of_their_code_prove_nothing():
    assert not unmatched([match("CT")] * 10 + [match("OCT")] * 4, "CT")
