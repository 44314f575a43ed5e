"""What options of `doseqr query` come to before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from services.cli.commands.options.query import QueryOptions, criteria_of
from shared.errors import InvalidInputError


@pytest.mark.parametrize("blank", ["", "  "])
@pytest.mark.parametrize(
    ("option", "field"),
    [
        ("date_from", "date_from"),
        ("date_until", "date_until"),
        ("time_from", "time_from"),
        ("time_until", "time_until"),
        ("accession_number", "accession_numbers"),
        ("study", "study_instance_uids"),
    ],
)
def test_a_blank_value_does_not_leave_out_a_limit(option: str, field: str, blank: str) -> None:
    # Given: --from "$DAY" where DAY is not set
    several = option in ("accession_number", "study")
    options: dict[str, Any] = {"ct": True, option: [blank] if several else blank}
    # When / Then
    with pytest.raises(InvalidInputError) as refused:
        criteria_of(QueryOptions(**options), None)
    assert refused.value.field == field


def test_blank_terms_are_left_out() -> None:
    # When
    criteria = criteria_of(QueryOptions(ct=True, date_from="2024-05-01", exclude=[""], keep=[",,"]), None)
    # Then
    assert (criteria.exclude_descriptions, criteria.keep_descriptions) == ((), ())
