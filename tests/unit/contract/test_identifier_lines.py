"""Identifiers one on each line: what is taken, and how a wrong line is reported."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.criteria import parse_criteria
from shared.contract.criteria_fields import MAX_IDENTIFIERS
from shared.contract.identifier_lines import identifier_lines
from shared.errors import InvalidInputError


def test_blank_lines_comments_and_repetitions_are_ignored():
    # Given
    text = "# of March\n\n  A1  \r\nA 2, left\n\t\nA1\n  # and no more\n"
    # When / Then
    assert identifier_lines("accession_numbers", text) == ["A1", "A 2, left"]


@pytest.mark.parametrize("text", ["", "\n \n", "# nothing"])
def test_a_text_without_content_has_none(text):
    assert identifier_lines("study_instance_uids", text) == []


@pytest.mark.parametrize(
    ("field", "text", "problem"),
    [
        ("study_instance_uids", "1.2.3\n#\n1.2.x", "line 3: must be a UID"),
        ("study_instance_uids", "1.2.3,1.2.4", "line 1: must be a UID"),
        ("accession_numbers", "A1\n\nA*", "line 3: must hold no wildcard and no backslash"),
        ("accession_numbers", f"A1\n{'9' * 65}", "line 2: must have at most 64 characters"),
        ("accession_numbers", "A1\nA\x002", "line 2: must hold no control characters"),
    ],
)
def test_a_wrong_line_is_reported_by_its_number(field, text, problem):
    # When
    with pytest.raises(InvalidInputError) as refused:
        identifier_lines(field, text)
    # Then
    assert refused.value.field == field
    assert refused.value.problem.startswith(problem)


def test_more_than_one_query_takes_are_refused():
    # Given
    text = "\n".join(f"1.2.{number}" for number in range(MAX_IDENTIFIERS + 1))
    # When
    with pytest.raises(InvalidInputError) as refused:
        identifier_lines("study_instance_uids", text)
    # Then
    assert (
        refused.value.problem
        == f"line {MAX_IDENTIFIERS + 1}: at most {MAX_IDENTIFIERS} identifiers in one query"
    )


@given(st.lists(st.text(), max_size=5).map("\n".join))
def test_whatever_is_taken_is_taken_by_the_criteria(text):
    # When
    try:
        found = identifier_lines("accession_numbers", text)
    except InvalidInputError:
        return
    # Then
    assert list(parse_criteria({"types": ["CT"], "accession_numbers": found}).accession_numbers) == found
