"""Which nodes a query may go to, as far as C-ECHO shows."""

from __future__ import annotations

import pytest

from services.cli.client.echo import is_there
from shared.contract.messages import NodeStatus
from shared.dicom.errors import Outcome, outcome_text


@pytest.mark.parametrize(
    ("outcome", "there"),
    [
        (Outcome.RESPONDS, True),
        (Outcome.NOT_SUPPORTED, True),
        (outcome_text(Outcome.STATUS, 0x0122), True),
        (Outcome.REJECTED, False),
        (Outcome.CONNECTION_REFUSED, False),
        (Outcome.TIMED_OUT, False),
        (Outcome.ABORTED, False),
    ],
)
def test_a_node_without_c_echo_may_still_be_queried(outcome, there):
    # Given
    status = NodeStatus(
        echo_id="1",
        node="pacs",
        node_id=1,
        kind="remote",
        ok=False,
        outcome=str(outcome),
        detail="",
        rtt_ms=None,
    )
    # Then
    assert is_there(status) is there
