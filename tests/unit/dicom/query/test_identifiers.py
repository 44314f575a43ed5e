"""Keys that a request can do without."""

from __future__ import annotations

import pytest

from shared.dicom.query.identifiers import OPTIONAL_KEYS, study_identifier, without


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ({}, {"QueryRetrieveLevel", "StudyInstanceUID", "StudyDate"}),
        (
            {"accession_number": "A1"},
            {"QueryRetrieveLevel", "StudyInstanceUID", "StudyDate", "AccessionNumber"},
        ),
        ({"study_time": "0800-0900"}, {"QueryRetrieveLevel", "StudyInstanceUID", "StudyDate", "StudyTime"}),
    ],
)
def test_a_key_that_selects_studies_is_never_left_out(values, kept):
    # Given
    identifier = study_identifier(**values)
    # When
    left = without(identifier, OPTIONAL_KEYS["STUDY"])
    # Then
    assert {element.keyword for element in left} == kept
