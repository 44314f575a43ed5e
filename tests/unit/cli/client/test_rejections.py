"""Rejected commands, as a person reads them who gave options."""

from __future__ import annotations

import pytest

from services.cli.client.events import refuse_rejected
from shared.contract.messages import Rejected
from shared.errors import InvalidInputError


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("data.criteria.date_from", "date_from"),
        ("data.criteria.types.0", "types.0"),
        ("data.remote", "remote"),
        ("type", "type"),
    ],
)
def test_a_rejection_names_the_field_as_the_command_line_does(field, shown):
    # Given
    event = Rejected(command_id="c", command_type="query.run", field=field, problem="is after today")
    # When
    with pytest.raises(InvalidInputError) as raised:
        refuse_rejected(event, ["c"])
    # Then
    assert (raised.value.field, raised.value.problem) == (shown, "is after today")
