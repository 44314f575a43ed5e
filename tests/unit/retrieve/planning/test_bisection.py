"""Few C-MOVEs find the objects that spoil a list, whatever a PACS does with one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieve.planning.arrivals import Arrivals
from services.retrieve.planning.attempts import Attempt, FinalResponse, MoveAttempts
from services.retrieve.planning.bisection import Piece, cut
from services.retrieve.planning.c_move_outcome import conclude
from services.retrieve.planning.moves import LIST_MAX_LENGTH, Move, MoveCapabilities, SeriesPart, plan_moves
from services.retrieve.planning.payloads import MoveOrder, move_order, move_tasks
from shared.contract.json_types import JsonObject
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.status import status_error

#: Tries of the engine after the first.
PAUSES = 3
#: C-MOVEs for a single object: in its cut, once more with others that failed, and after each pause.
TRIES = 2 + PAUSES
LEVELS = ceil(log2(LIST_MAX_LENGTH))

UNABLE = FinalResponse(0xC000, error=status_error(0xC000))
BUSY = FinalResponse(0xA702, error=status_error(0xA702))
ABORT = FinalResponse(None, error=PeerError(Outcome.ABORTED, ""))


def images(number: int, series: int = 1) -> SeriesPart:
    return SeriesPart(
        "1.1", f"1.1.{series}", tuple(f"1.1.{series}.{index}" for index in range(1, number + 1))
    )


def reports(number: int, first: int = 1) -> list[SeriesPart]:
    series = range(first, first + number)
    return [SeriesPart("1.1", f"1.1.{entry:04}", (f"1.1.{entry:04}.1",), whole=True) for entry in series]


#: What a PACS sends of a list, and what it cannot send.
Sends = Callable[[list[str], Collection[str]], list[str]]


def nothing(uids: list[str], bad: Collection[str]) -> list[str]:
    return [] if set(uids) & set(bad) else uids


def up_to_the_first(uids: list[str], bad: Collection[str]) -> list[str]:
    stop = next((place for place, uid in enumerate(uids) if uid in bad), len(uids))
    return uids[:stop]


def up_to_the_last(uids: list[str], bad: Collection[str]) -> list[str]:
    return up_to_the_first(uids[::-1], bad)


def every_other_first(uids: list[str], bad: Collection[str]) -> list[str]:
    return up_to_the_first(uids[1::2] + uids[::2], bad)


class Retrieve:
    """A retrieve from a PACS that cannot send some objects; the steps of the service without its ledger."""

    def __init__(
        self, parts: Iterable[SeriesPart], bad: Collection[str], sends: Sends, response: FinalResponse
    ) -> None:
        self.parts = {part.key: part for part in parts}
        self.bad, self.sends, self.response = bad, sends, response
        self.arrived: set[str] = set()
        self.lost: set[str] = set()
        self.moves: list[Move] = []

    def run(self, capabilities: MoveCapabilities) -> None:
        """Do all tasks."""
        tasks = [(task.payload, 0) for task in move_tasks(self.parts.values())]
        while tasks:
            payload, failures = tasks.pop(0)
            order = move_order(payload)
            moves = plan_moves(self._open(order), capabilities.in_lists_of(order.longest))
            attempts = MoveAttempts([Attempt(move, self._respond(move)) for move in moves])
            arrived = {uid for move in moves for uid in move.sop_instance_uids} & self.arrived
            conclusion = conclude(order, attempts, Arrivals(arrived))
            if conclusion.retry is None:
                self.lost |= {uid for loss in conclusion.losses for uid in loss.part.sop_instance_uids}
                tasks += [(task.payload, 0) for task in conclusion.tasks]
            elif failures < PAUSES:
                tasks.append((payload, failures + 1))
            else:
                tasks += [(later, 0) for later in self._give_up(order)]

    def _open(self, order: MoveOrder) -> list[SeriesPart]:
        parts = [*(self.parts[key] for key in order.whole), *order.parts]
        return [left for part in parts if (left := part.without(self.arrived)) is not None]

    def _respond(self, move: Move) -> FinalResponse:
        self.moves.append(move)
        uids = move.sop_instance_uids
        sent = self.sends(uids, self.bad)
        self.arrived |= set(sent)
        return FinalResponse(0x0000, len(sent)) if len(sent) == len(uids) else self.response

    def _give_up(self, order: MoveOrder) -> list[JsonObject]:
        simpler, parts = order.simpler(), self._open(order)
        if simpler is None:
            self.lost |= {uid for part in parts for uid in part.sop_instance_uids}
            return []
        return [task.payload for task in move_tasks((part.by_objects() for part in parts), simpler)]


@st.composite
def retrieves(draw: st.DrawFn, response: FinalResponse) -> Retrieve:
    sizes = draw(st.lists(st.integers(1, 130), min_size=1, max_size=3))
    many = [images(size, number) for number, size in enumerate(sizes)]
    parts = draw(st.sampled_from([many, reports(sum(sizes)), [*many, *reports(sizes[0], 10)]]))
    uids = [uid for part in parts for uid in part.sop_instance_uids]
    bad = draw(st.sets(st.sampled_from(uids), max_size=6))
    sends = draw(st.sampled_from([nothing, up_to_the_first, up_to_the_last, every_other_first]))
    return Retrieve(parts, bad, sends, response)


any_capabilities = st.builds(MoveCapabilities, across_studies=st.booleans())


@given(retrieves(UNABLE), any_capabilities)
def test_everything_else_arrives_by_few_moves(retrieve, capabilities):
    # When
    retrieve.run(capabilities)
    # Then
    everything = {uid for part in retrieve.parts.values() for uid in part.sop_instance_uids}
    assert retrieve.arrived == everything - set(retrieve.bad)
    assert retrieve.lost == set(retrieve.bad)
    assert {uid for move in retrieve.moves for uid in move.sop_instance_uids} == everything
    whole = sum(len(plan_moves([part], capabilities)) for part in retrieve.parts.values())
    at_most = min(whole, len(everything)) + len(retrieve.bad) * (2 * (LEVELS + 2) + TRIES)
    assert len(retrieve.moves) <= at_most


@given(retrieves(UNABLE), any_capabilities)
def test_only_single_objects_are_requested_again_unchanged(retrieve, capabilities):
    # When
    retrieve.run(capabilities)
    # Then
    requested = Counter(frozenset(move.sop_instance_uids) for move in retrieve.moves if move.is_list)
    assert set(requested.values()) <= {1}
    alone = Counter(move.sop_instance_uids[0] for move in retrieve.moves if len(move.sop_instance_uids) == 1)
    assert all(number <= TRIES + 2 for number in alone.values())


@given(st.sampled_from([BUSY, ABORT]).flatmap(retrieves), any_capabilities)
def test_what_may_pass_is_tried_again_whole_and_only_then_cut(retrieve, capabilities):
    # When
    retrieve.run(capabilities)
    # Then
    everything = {uid for part in retrieve.parts.values() for uid in part.sop_instance_uids}
    assert retrieve.arrived == everything - set(retrieve.bad)
    assert retrieve.lost == set(retrieve.bad)
    lists = Counter(frozenset(move.sop_instance_uids) for move in retrieve.moves if move.is_list)
    # As it was first, as what a cut leaves together, and as what is left where others of it have come.
    assert max(lists.values(), default=0) <= 3 * TRIES


@given(st.integers(1, LIST_MAX_LENGTH), st.data())
def test_a_cut_holds_the_rest_once_in_shorter_lists(number, data):
    # Given
    move = Move("IMAGE", (images(number),))
    uids = move.sop_instance_uids
    arrived = data.draw(st.sets(st.sampled_from(uids), max_size=number - 1))
    failed = data.draw(st.sets(st.sampled_from(uids)))
    # When
    pieces = cut(move, arrived, failed)
    # Then
    covered = [uid for piece in pieces for part in piece.parts for uid in part.sop_instance_uids]
    assert sorted(covered) == sorted(set(uids) - arrived)
    assert all(piece.longest < number or number == 1 for piece in pieces)


LIST = Move("IMAGE", (images(8),))
U = LIST.sop_instance_uids


@pytest.mark.parametrize(
    ("arrived", "failed", "lists"),
    [
        ([], [], [(U, 4)]),
        ([], U, [(U, 4)]),
        ([], U[2:3], [(U[2:3], 1), (U[:2] + U[3:], 7)]),
        (U[:3], [], [(U[3:4], 1), (U[4:], 4)]),
        (U[:7], [], [(U[7:], 1)]),
        (U[1:3], [], [(U[:1] + U[3:], 3)]),
        (U[:6], U[7:], [(U[7:], 1), (U[6:7], 1)]),
    ],
    ids=["nothing_came", "all_are_named", "one_is_named", "it_stopped", "the_last", "any", "named_of_two"],
)
def test_a_list_is_cut_where_the_culprit_is_thought_to_be(arrived, failed, lists):
    found = cut(LIST, set(arrived), set(failed))
    assert [([*piece.parts[0].sop_instance_uids], piece.longest) for piece in found] == lists


def test_a_list_of_series_is_cut_by_series():
    # Given
    four = reports(4)
    move = Move("SERIES", tuple(four))
    # Then
    assert cut(move, set()) == [Piece(tuple(four), 2)]
    assert cut(move, {"1.1.0001.1"}) == [Piece((four[1].by_objects(),), 1), Piece(tuple(four[2:]), 2)]
    assert cut(move, {"1.1.0002.1"}) == [Piece((four[0], four[2], four[3]), 2)]


def test_of_a_series_that_came_in_part_the_rest_is_requested_by_objects():
    # Given
    partly = SeriesPart("1.1", "1.1.0002", ("1", "2", "3", "4"), whole=True)
    others = [*reports(1), partly, *reports(2, 3)]
    # When
    found = cut(Move("SERIES", tuple(others)), {"1.1.0001.1", "1"})
    # Then
    assert found == [Piece((SeriesPart("1.1", "1.1.0002", ("2", "3", "4")),), 2), Piece(tuple(others[2:]), 2)]
