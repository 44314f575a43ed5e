"""Which matches belong to a slice, whatever a PACS makes of its keys."""

from __future__ import annotations

import pytest

from services.query.search.found_studies import belongs_to
from shared.dicom.query.matches import StudyMatch
from shared.querying.payloads import AccessionSlice


@pytest.mark.parametrize(
    ("number", "returned", "belongs"),
    [
        ("A1", "A1", True),
        ("A1", None, True),
        ("a1", "A1", True),
        ("A1", "A0\\A1", True),
        ("A1", "A1\\A2", True),
        ("2026-11-25-000123456", "2026-11-25-00012", True),
        ("A1", "A11", False),
        ("A11", "A1", False),
        ("2026-11-25-000123456", "2026-11-25", False),
    ],
)
def test_a_study_belongs_to_the_accession_number_that_a_pacs_found_it_by(number, returned, belongs):
    # Given
    study = StudyMatch("1.2", accession_number=returned)
    # Then
    assert belongs_to(study, AccessionSlice(number)) is belongs
