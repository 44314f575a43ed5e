"""What is left of a study fits into few bytes and says when all that was kept is there."""

from __future__ import annotations

import pytest

from shared.evidence.folded_study import (
    MOST_DIGESTS,
    FoldedStudy,
    kept_objects,
    read_folded,
    terms_digest,
)

TERMS = terms_digest({"types": ["CT"]}, 3)
SERIES, REPORT = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.1.1"


@pytest.mark.parametrize(
    "folded",
    [
        FoldedStudy(),
        FoldedStudy(keeps=True, arrived=True),
        FoldedStudy(keeps=True, kept=kept_objects(TERMS, (3, 120), [(SERIES, REPORT)], []), is_of_best=True),
        FoldedStudy(kept=kept_objects(TERMS, (None, 7), [], [(SERIES, 12), ("1.2", 1)])),
    ],
)
def test_a_folded_study_reads_as_it_was_written(folded: FoldedStudy) -> None:
    assert read_folded(folded.to_text()) == folded


def test_a_report_takes_less_than_fifty_bytes() -> None:
    kept = kept_objects(TERMS, (3, 1200), [(SERIES, REPORT)], [])
    assert len(FoldedStudy(keeps=True, arrived=True, kept=kept, is_of_best=True).to_text()) < 50


def test_all_that_was_kept_must_be_there() -> None:
    # Given
    kept = kept_objects(TERMS, (2, 3), [("1.1", "1.1.1")], [("1.2", 2)])
    assert kept is not None
    # Then
    assert kept.all_in({"1.1.1": "1.1", "1.2.1": "1.2", "1.2.2": "1.2"})
    assert not kept.all_in({"1.1.1": "1.1", "1.2.1": "1.2"})
    assert not kept.all_in({"1.1.2": "1.1", "1.2.1": "1.2", "1.2.2": "1.2"})


def test_nothing_is_kept_of_what_cannot_be_checked_later() -> None:
    many = [("1.1", f"1.1.{number}") for number in range(MOST_DIGESTS + 1)]
    assert kept_objects(TERMS, (2, 3), [], []) is None
    assert kept_objects(TERMS, (2, 3), many, []) is None
    assert kept_objects(TERMS, (2, 3), [], [("1.2", None)]) is None


def test_a_better_query_replaces_what_another_kept() -> None:
    # Given
    first = kept_objects(TERMS, (2, 3), [("1.1", "1.1.1")], [])
    best = kept_objects(TERMS, (2, 4), [("1.1", "1.1.2")], [])
    # When
    folded = FoldedStudy().with_query(is_best=False, keeps=True, arrived=True, kept=first)
    better = folded.with_query(is_best=True, keeps=True, arrived=False, kept=best)
    later = better.with_query(is_best=False, keeps=False, arrived=True, kept=first)
    # Then
    assert not folded.has_arrived({"1.1.1": "1.1"})
    assert better == later
    assert better.has_arrived({"1.1.2": "1.1"})
    assert not better.has_arrived({"1.1.1": "1.1"})
