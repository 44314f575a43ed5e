"""What the answer to a C-MOVE means, row by row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieve.planning.response_outcome import (
    Action,
    FinalResponse,
    claimed,
    may_come,
    reason_of,
    response_outcome,
)
from shared.contract.reasons import Reason
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.status import status_error

DONE, REST, SIMPLER = Action.DONE, Action.ASK_REST, Action.ASK_SIMPLER
LATER, UP, STOP = Action.TRY_LATER, Action.GIVE_UP, Action.STOP


def answer(
    status: int | None, completed=None, failed=None, warning=None, uids=(), outcome=None
) -> FinalResponse:
    error = None
    if status is None:
        error = PeerError(outcome or Outcome.ABORTED, "", permanent=outcome is Outcome.NOT_SUPPORTED)
    elif status and not 0xB000 <= status <= 0xBFFF:
        error = status_error(status)
    return FinalResponse(status, completed, failed, warning, tuple(uids), error)


#: Answer, asked, arrived, whether the request was the simplest: what follows, and the reason for the rest.
TABLE = [
    # success
    (answer(0x0000, 3, 0, 0), 3, 3, False, DONE, "arrived", Reason.NOT_ARRIVED),
    (answer(0x0000), 3, 3, False, DONE, "arrived", Reason.NOT_ARRIVED),
    (answer(0x0000, 0, 0, 0), 3, 3, False, DONE, "arrived", Reason.NOT_ARRIVED),
    (answer(0x0000, 2, 0, 1), 3, 3, False, DONE, "arrived", Reason.NOT_ARRIVED),
    (answer(0x0000, 3, 0, 0), 3, 2, False, REST, "missing", Reason.NOT_ARRIVED),
    (answer(0x0000, 3, 0, 0), 3, 0, True, REST, "missing", Reason.NOT_ARRIVED),
    (answer(0x0000), 3, 0, False, REST, "missing", Reason.NOT_ARRIVED),
    (answer(0x0000, 0, 0, 0), 3, 0, False, REST, "missing", Reason.MOVED_NOTHING),
    (answer(0x0000, 0), 3, 0, True, REST, "missing", Reason.MOVED_NOTHING),
    (answer(0x0000, 2, 1, 0), 3, 2, False, REST, "failed", Reason.STATUS_FAILURE),
    (answer(0x0000, uids=["1.2"]), 3, 2, False, REST, "failed", Reason.STATUS_FAILURE),
    # warning
    (answer(0xB000, 3, 0, 0), 3, 3, False, DONE, "arrived", Reason.NOT_ARRIVED),
    (answer(0xB000, 2, 1, 0, ["1.2"]), 3, 2, False, REST, "failed", Reason.STATUS_FAILURE),
    (answer(0xB000), 3, 2, False, REST, "failed", Reason.STATUS_FAILURE),
    (answer(0xB000, 0, 3, 0), 3, 0, True, REST, "failed", Reason.STATUS_FAILURE),
    # the whole job
    (answer(0xA801), 3, 0, True, STOP, "failed", Reason.MOVE_DESTINATION_UNKNOWN),
    (answer(0xA801), 3, 1, False, STOP, "failed", Reason.MOVE_DESTINATION_UNKNOWN),
    # for a while
    (answer(0xA701), 3, 0, False, LATER, "failed", Reason.OUT_OF_RESOURCES),
    (answer(0xA702), 3, 0, True, LATER, "failed", Reason.OUT_OF_RESOURCES),
    (answer(0xA702, 1, 2, 0), 3, 1, False, REST, "failed", Reason.OUT_OF_RESOURCES),
    (answer(0xC000), 3, 0, True, LATER, "failed", Reason.STATUS_FAILURE),
    (answer(0xCFFF), 3, 1, True, REST, "failed", Reason.STATUS_FAILURE),
    (answer(0x0110), 3, 0, False, LATER, "failed", Reason.STATUS_FAILURE),
    (answer(0xFE00, 1, 0, 0), 3, 0, False, LATER, "failed", Reason.STATUS_FAILURE),
    (answer(0x4711), 3, 0, False, LATER, "failed", Reason.STATUS_FAILURE),
    # in this form
    (answer(0xA900), 3, 0, False, SIMPLER, "failed", Reason.STATUS_FAILURE),
    (answer(0xC001), 3, 0, False, SIMPLER, "failed", Reason.STATUS_FAILURE),
    (answer(0xA900), 1, 0, True, UP, "failed", Reason.STATUS_FAILURE),
    # never
    (answer(0x0122), 3, 0, False, UP, "failed", Reason.STATUS_FAILURE),
    (answer(0x0124), 3, 0, True, UP, "failed", Reason.STATUS_FAILURE),
    (answer(0x0211), 3, 0, False, UP, "failed", Reason.STATUS_FAILURE),
    (answer(None, outcome=Outcome.NOT_SUPPORTED), 3, 0, False, UP, "failed", Reason.CONTEXT_NOT_ACCEPTED),
    # no final answer
    (answer(None, outcome=Outcome.TIMED_OUT), 3, 0, False, LATER, "failed", Reason.TIMED_OUT),
    (answer(None, outcome=Outcome.TIMED_OUT), 3, 2, False, REST, "failed", Reason.TIMED_OUT),
    (answer(None, outcome=Outcome.TIMED_OUT), 3, 3, False, DONE, "arrived", Reason.NOT_ARRIVED),
    (answer(None, outcome=Outcome.ABORTED), 3, 0, True, LATER, "failed", Reason.ABORTED),
    (answer(None, outcome=Outcome.ABORTED), 3, 1, True, REST, "failed", Reason.ABORTED),
]


@pytest.mark.parametrize(("given_answer", "asked", "arrived", "simplest", "action", "state", "reason"), TABLE)
def test_each_answer_has_one_meaning(given_answer, asked, arrived, simplest, action, state, reason):
    verdict = response_outcome(given_answer, asked=asked, arrived=arrived, simplest=simplest)
    assert (verdict.action, verdict.state, verdict.reason) == (action, state, reason)


@given(st.sampled_from([row[0] for row in TABLE]), st.integers(1, 9), st.integers(0, 9), st.booleans())
def test_nothing_is_done_before_everything_arrived(given_answer, asked, arrived, simplest):
    verdict = response_outcome(given_answer, asked=asked, arrived=arrived, simplest=simplest)
    assert (verdict.action is Action.DONE) == (arrived >= asked)


@pytest.mark.parametrize(
    ("given_answer", "number"),
    [
        (answer(0x0000, 3, 0, 0), 3),
        (answer(0x0000), 3),
        (answer(0x0000, 0, 0, 0), 0),
        (answer(0x0000, 9), 3),
        (answer(0x0000, failed=1), 2),
        (answer(0xB000, 1, 2, 0), 1),
        (answer(0xB000, uids=["1", "2"]), 1),
        (answer(0xA702, 1, 2, 0), 1),
        (answer(0xC000), 0),
        (answer(None), 0),
    ],
)
def test_no_more_is_waited_for_than_may_come(given_answer, number):
    assert may_come(given_answer, 3) == number


@pytest.mark.parametrize(
    ("given_answer", "sop_instance_uids", "arrived"),
    [
        (answer(0x0000, 2, 0, 0), ["1", "2"], {"1", "2"}),
        (answer(0x0000), ["1", "2"], {"1", "2"}),
        (answer(0x0000, 0, 0, 0), ["1", "2"], set()),
        (answer(0x0000, 1, 0, 0), ["1", "2"], set()),
        (answer(0x0000, 1, 0, 1), ["1", "2"], {"1", "2"}),
        (answer(0x0000, 1, 1, 0), ["1", "2"], set()),
        (answer(0xB000, 1, 1, 0, ["2"]), ["1", "2"], {"1"}),
        (answer(0xB000, None, None, None, ["2"]), ["1", "2"], {"1"}),
        (answer(0xB000, 1, 1, 0), ["1", "2"], set()),
        (answer(0xB000, 2, 1, 0, ["3"]), ["1", "2"], {"1", "2"}),
        (answer(0xA702, 1, 1, 0, ["2"]), ["1", "2"], {"1"}),
        (answer(0xA702), ["1"], set()),
        (answer(None), ["1"], set()),
        (answer(0x0000, 5, 0, 0), [""], {""}),
        (answer(0x0000), [""], {""}),
        (answer(0x0000, 0, 0, 0), [""], set()),
        (answer(0xB000, 1, 1, 0), [""], set()),
    ],
)
def test_the_word_of_the_pacs_counts_only_where_it_is_clear(given_answer, sop_instance_uids, arrived):
    assert claimed(given_answer, sop_instance_uids) == arrived


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("associating", [True, False])
def test_every_outcome_has_a_reason(outcome, associating):
    code = 0xC000 if outcome is Outcome.STATUS else None
    assert reason_of(PeerError(outcome, "", status_code=code, associating=associating)) in Reason
