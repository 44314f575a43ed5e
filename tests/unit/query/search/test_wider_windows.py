"""What a few days and their halves prove about the number of matches that a node returns."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

import pytest

from services.query.search.wider_windows import NumberProof
from shared.dicom.query.matches import FindResult, StudyMatch
from shared.querying.profile import UNPROVEN, Profile
from shared.querying.slices import Slice
from tests.unit.query.search.model_node import ModelNode, Notebook, study

FIRST, LAST = dt.date(2024, 3, 1), dt.date(2024, 3, 7)
UNKNOWN = Profile().proven
DAY = dt.timedelta(days=1)


class CappedNode(ModelNode):
    """A node that stops at a number of matches, by `control` as a `WindowFind` has it."""

    cap = 1000

    def control(self, window: Slice) -> FindResult[StudyMatch]:
        return FindResult(self(window).matches[: self.cap])


def node_of(studies_a_day: int, cap: int) -> CappedNode:
    days = [FIRST + number * DAY for number in range(7)]
    node = CappedNode(
        [study(len(days) * n + d, day, "CT") for d, day in enumerate(days) for n in range(studies_a_day)]
    )
    node.cap = cap
    return node


@pytest.mark.parametrize(
    ("studies_a_day", "cap", "proven", "learned_cap", "requests"),
    [
        (40, 1000, 120, None, [(3, "CT\\MR"), (1, "CT\\MR"), (2, "CT\\MR")]),
        (5, 1000, 35, None, [(7, "CT\\MR"), (3, "CT\\MR"), (4, "CT\\MR")]),
        # The halves bring more than the whole, or the newer half as many as the whole.
        (40, 100, UNKNOWN, 100, [(3, "CT\\MR"), (1, "CT\\MR"), (2, "CT\\MR")]),
        (40, 30, UNKNOWN, None, [(3, "CT\\MR"), (1, "CT\\MR"), (2, "CT\\MR")]),
        # So few are believed once more of them are.
        (1, 1000, UNPROVEN + 1, None, [(7, "CT\\MR"), (3, "CT\\MR"), (4, "CT\\MR")]),
    ],
)
def test_some_days_and_their_halves_prove_a_number_of_matches(
    studies_a_day, cap, proven, learned_cap, requests
):
    # Given
    node, notebook = node_of(studies_a_day, cap), Notebook()
    proof = NumberProof(Slice(FIRST, LAST, code="CT"), cast("Any", node), cast("Any", notebook), LAST)
    sample = Slice(FIRST, FIRST, code="CT")
    # When
    proof.prove_days(["CT", "MR"], sample, node(Slice(FIRST, FIRST)).matches)
    # Then
    assert (notebook.profile.proven, notebook.profile.cap) == (proven, learned_cap)
    assert notebook.profile.busiest == studies_a_day
    assert [(request.days, request.code) for request in node.requests[1:]] == requests
