"""Which optional keys have a request refused, found out by leaving them out."""

from __future__ import annotations

import pytest

from services.query.profile.refused_keys import find_refused
from shared.dicom.query.identifiers import study_identifier
from shared.dicom.query.matches import FindResult, StudyMatch
from shared.dicom.status import status_error

STUDY = StudyMatch("1.2.3")


def refusal(status_code: int, *matches: StudyMatch) -> FindResult[StudyMatch]:
    return FindResult([*matches], status_code=status_code, error=status_error(status_code))


@pytest.mark.parametrize(
    ("otherwise", "is_found"),
    [
        (FindResult([STUDY], status_code=0), True),
        (FindResult(status_code=0), True),
        # Without the key the window is too much, which is no refusal of the keys that are left.
        (refusal(0xA700), True),
        (refusal(0xA700, STUDY), True),
        (refusal(0xA900, STUDY), True),
        # Refused all the same.
        (refusal(0xA900), False),
        (refusal(0xC001), False),
    ],
)
def test_a_refused_key_is_found_though_the_rest_may_be_too_much(otherwise, is_found):
    # Given: a node that refuses each request with Study Time
    def find(leave: frozenset[str]) -> FindResult[StudyMatch]:
        return otherwise if "StudyTime" in leave else refusal(0xA900)

    # When
    result, refused = find_refused(study_identifier(), "STUDY", find)
    # Then
    assert (result, refused) == ((otherwise, {"StudyTime"}) if is_found else (None, frozenset()))
