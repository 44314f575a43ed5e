"""What follows from the final response to a C-MOVE, row by row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieve.planning.arrivals import Arrivals
from services.retrieve.planning.attempts import Attempt, MoveAttempts
from services.retrieve.planning.c_move_outcome import Action, conclude, reason_of, response_outcome
from services.retrieve.planning.moves import Move, SeriesPart
from services.retrieve.planning.payloads import MoveOrder
from shared.contract.reasons import Reason
from shared.dicom.errors import Outcome, PeerError
from tests.unit.retrieve.planning.responses import final_response

DONE, REST, SIMPLER = Action.DONE, Action.REQUEST_REST, Action.REQUEST_SIMPLER
LATER, UP, STOP = Action.TRY_LATER, Action.GIVE_UP, Action.STOP


#: Response, requested, arrived, whether the request was the simplest: what follows, and why the rest is lost.
TABLE = [
    # success
    (final_response(0x0000, 3, 0, 0), 3, 3, False, DONE, "arrived", Reason.NOT_ARRIVED),
    (final_response(0x0000), 3, 3, False, DONE, "arrived", Reason.NOT_ARRIVED),
    (final_response(0x0000, 0, 0, 0), 3, 3, False, DONE, "arrived", Reason.NOT_ARRIVED),
    (final_response(0x0000, 2, 0, 1), 3, 3, False, DONE, "arrived", Reason.NOT_ARRIVED),
    (final_response(0x0000, 3, 0, 0), 3, 2, False, REST, "missing", Reason.NOT_ARRIVED),
    (final_response(0x0000, 3, 0, 0), 3, 0, True, REST, "missing", Reason.NOT_ARRIVED),
    (final_response(0x0000), 3, 0, False, REST, "missing", Reason.NOT_ARRIVED),
    (final_response(0x0000, 0, 0, 0), 3, 0, False, REST, "missing", Reason.MOVED_NOTHING),
    (final_response(0x0000, 0), 3, 0, True, REST, "missing", Reason.MOVED_NOTHING),
    (final_response(0x0000, 2, 1, 0), 3, 2, False, REST, "failed", Reason.STATUS_FAILURE),
    (final_response(0x0000, uids=["1.2"]), 3, 2, False, REST, "failed", Reason.STATUS_FAILURE),
    # warning
    (final_response(0xB000, 3, 0, 0), 3, 3, False, DONE, "arrived", Reason.NOT_ARRIVED),
    (final_response(0xB000, 2, 1, 0, ["1.2"]), 3, 2, False, REST, "failed", Reason.STATUS_FAILURE),
    (final_response(0xB000), 3, 2, False, REST, "failed", Reason.STATUS_FAILURE),
    (final_response(0xB000, 0, 3, 0), 3, 0, True, REST, "failed", Reason.STATUS_FAILURE),
    # the whole job
    (final_response(0xA801), 3, 0, True, STOP, "failed", Reason.MOVE_DESTINATION_UNKNOWN),
    (final_response(0xA801), 3, 1, False, STOP, "failed", Reason.MOVE_DESTINATION_UNKNOWN),
    # for a while
    (final_response(0xA701), 3, 0, False, LATER, "failed", Reason.OUT_OF_RESOURCES),
    (final_response(0xA702), 3, 0, True, LATER, "failed", Reason.OUT_OF_RESOURCES),
    (final_response(0xA702, 1, 2, 0), 3, 1, False, REST, "failed", Reason.OUT_OF_RESOURCES),
    (final_response(0xC000), 3, 0, True, LATER, "failed", Reason.STATUS_FAILURE),
    (final_response(0xCFFF), 3, 1, True, REST, "failed", Reason.STATUS_FAILURE),
    (final_response(0x0110), 3, 0, False, LATER, "failed", Reason.STATUS_FAILURE),
    (final_response(0xFE00, 1, 0, 0), 3, 0, False, LATER, "failed", Reason.STATUS_FAILURE),
    (final_response(0x4711), 3, 0, False, LATER, "failed", Reason.STATUS_FAILURE),
    # in this form
    (final_response(0xA900), 3, 0, False, SIMPLER, "failed", Reason.STATUS_FAILURE),
    (final_response(0xC001), 3, 0, False, SIMPLER, "failed", Reason.STATUS_FAILURE),
    (final_response(0xA900), 1, 0, True, UP, "failed", Reason.STATUS_FAILURE),
    (final_response(0x0106), 3, 0, False, SIMPLER, "failed", Reason.STATUS_FAILURE),
    (final_response(0x0115), 3, 0, False, SIMPLER, "failed", Reason.STATUS_FAILURE),
    (final_response(0x0120), 3, 0, False, SIMPLER, "failed", Reason.STATUS_FAILURE),
    (final_response(0x0121), 3, 0, False, SIMPLER, "failed", Reason.STATUS_FAILURE),
    (final_response(0x0120), 1, 0, True, LATER, "failed", Reason.STATUS_FAILURE),
    (final_response(0x0112), 3, 0, False, LATER, "failed", Reason.STATUS_FAILURE),
    # never
    (final_response(0x0122), 3, 0, False, UP, "failed", Reason.STATUS_FAILURE),
    (final_response(0x0124), 3, 0, True, UP, "failed", Reason.STATUS_FAILURE),
    (final_response(0x0211), 3, 0, False, UP, "failed", Reason.STATUS_FAILURE),
    (
        final_response(None, outcome=Outcome.NOT_SUPPORTED),
        3,
        0,
        False,
        UP,
        "failed",
        Reason.CONTEXT_NOT_ACCEPTED,
    ),
    # no final response
    (final_response(None, outcome=Outcome.TIMED_OUT), 3, 0, False, LATER, "failed", Reason.TIMED_OUT),
    (final_response(None, outcome=Outcome.TIMED_OUT), 3, 2, False, REST, "failed", Reason.TIMED_OUT),
    (final_response(None, outcome=Outcome.TIMED_OUT), 3, 3, False, DONE, "arrived", Reason.NOT_ARRIVED),
    (final_response(None, outcome=Outcome.ABORTED), 3, 0, True, LATER, "failed", Reason.ABORTED),
    (final_response(None, outcome=Outcome.ABORTED), 3, 1, True, REST, "failed", Reason.ABORTED),
]


@pytest.mark.parametrize(("response", "requested", "arrived", "simplest", "action", "state", "reason"), TABLE)
def test_each_response_has_one_outcome(response, requested, arrived, simplest, action, state, reason):
    found = response_outcome(response, requested=requested, arrived=arrived, simplest=simplest)
    assert (found.action, found.state, found.reason) == (action, state, reason)


@given(st.sampled_from([row[0] for row in TABLE]), st.integers(1, 9), st.integers(0, 9), st.booleans())
def test_nothing_is_done_before_everything_arrived(response, requested, arrived, simplest):
    found = response_outcome(response, requested=requested, arrived=arrived, simplest=simplest)
    assert (found.action is Action.DONE) == (arrived >= requested)


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("associating", [True, False])
def test_every_outcome_has_a_reason(outcome, associating):
    code = 0xC000 if outcome is Outcome.STATUS else None
    assert reason_of(PeerError(outcome, "", status_code=code, associating=associating)) in Reason


@pytest.mark.parametrize("status", [0x0112, 0x0117, 0x0118, 0x0119, 0x0122, 0xC000])
def test_a_list_that_one_object_spoils_is_cut(status):
    found = response_outcome(final_response(status), requested=3, arrived=0, simplest=False, several=True)
    assert found.action is Action.CUT


UNLISTED = SeriesPart("1.2", "1.2.1", whole=True)


@pytest.mark.parametrize(
    ("response", "arrived", "complete"),
    [
        (final_response(0x0000, 2, 0, 0), 2, True),
        (final_response(0x0000, 3, 0, 0), 2, False),
        (final_response(0x0000), 2, True),
        (final_response(0xB000, 2, 1, 0), 2, False),
        (final_response(None, outcome=Outcome.ABORTED), 2, False),
        (final_response(0xA702, 2, 1, 0), 2, False),
        (final_response(0xC000), 2, False),
    ],
)
def test_a_series_of_unknown_size_is_complete_only_when_the_pacs_has_sent_all(response, arrived, complete):
    # Given
    attempts = MoveAttempts([Attempt(Move("SERIES", (UNLISTED,)), response)])
    arrivals = Arrivals(unlisted={UNLISTED.key: {f"1.2.1.{number}" for number in range(arrived)}})
    # When
    conclusion = conclude(MoveOrder(), attempts, arrivals)
    # Then
    assert conclusion.complete == ([UNLISTED.key] if complete else [])
    assert bool(conclusion.tasks) is not complete


ANNOUNCED = SeriesPart("1.2", "1.2.1", whole=True, announced=1)


@pytest.mark.parametrize(
    ("response", "arrived", "larger"),
    [
        (final_response(0xB000, 1, 1, 0), 1, 2),
        (final_response(0xB000, uids=("1.2.1.7", "1.2.1.8")), 1, 3),
        (final_response(0xA702, 0, 3, 0), 1, 3),
        (final_response(0xB000, 0, 1, 0), 1, None),
        (final_response(0xB000, uids=("1.2.1.0",)), 1, None),
        (final_response(0x0000, 3, 0, 0), 2, 3),
        (final_response(0x0000, 2, 0, 0), 2, None),
        (final_response(0x0000, 2, 0, 0), 1, None),
        (final_response(None, outcome=Outcome.ABORTED), 1, None),
    ],
    ids=[
        "one more",
        "named",
        "failure",
        "came all the same",
        "named, but came",
        "not all of more than announced",
        "more than announced",
        "sent twice",
        "aborted",
    ],
)
def test_what_fails_or_lacks_beyond_the_announced_number_shows_a_larger_series(response, arrived, larger):
    # Given
    attempts = MoveAttempts([Attempt(Move("SERIES", (ANNOUNCED,)), response)])
    arrivals = Arrivals(unlisted={ANNOUNCED.key: {f"1.2.1.{number}" for number in range(arrived)}})
    # When
    conclusion = conclude(MoveOrder(), attempts, arrivals)
    # Then
    assert conclusion.larger == ({ANNOUNCED.key: larger} if larger else {})
    assert bool(conclusion.tasks) is bool(larger)
