"""From the answers to a task's C-MOVEs and what arrived to what follows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from services.retrieve.context import Arrivals
from services.retrieve.planning.bisection import cut
from services.retrieve.planning.moves import LIST_MAX_LENGTH, SeriesPart
from services.retrieve.planning.payloads import MAX_ROUNDS, AwaitOrder, MoveOrder, SeriesKey, move_tasks
from services.retrieve.planning.response_outcome import (
    Action,
    ResponseOutcome,
    claimed,
    may_come,
    response_outcome,
)
from services.retrieve.transfer.c_move import Attempt, MoveAttempts
from shared.dicom.errors import PeerError
from shared.jobs.new_task import NewTask

#: A series that the PACS says it has sent, and of which nothing can be named.
UNNAMED = frozenset({""})


@dataclass(frozen=True, slots=True)
class Loss:
    """Objects that are given up, and why."""

    part: SeriesPart
    verdict: ResponseOutcome


@dataclass(slots=True)
class Conclusion:
    """What follows from one task."""

    tasks: list[NewTask] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    #: Series without names of which nothing more comes.
    complete: list[SeriesKey] = field(default_factory=list)
    #: No other C-MOVE of the job can succeed.
    stop: ResponseOutcome | None = None
    #: Nothing came of it, and the same is to be tried after a pause.
    retry: PeerError | None = None
    #: Objects that the PACS says it has sent, and that may be on their way.
    awaited: list[AwaitOrder] = field(default_factory=list)


def on_their_way(attempts: Iterable[Attempt]) -> int:
    """Return how many objects may arrive that the PACS says it has sent."""
    return sum(may_come(attempt.answer, attempt.move.size) for attempt in attempts)


def take_at_its_word(attempts: Iterable[Attempt], arrivals: Arrivals) -> None:
    """Add to what was seen what the PACS says it has sent: nothing else can be known."""
    for attempt in attempts:
        if attempt.move.parts[0].unlisted:
            if claimed(attempt.answer, [""]):
                arrivals.unlisted.setdefault(attempt.move.parts[0].key, set(UNNAMED))
        else:
            arrivals.sop_instance_uids |= claimed(attempt.answer, attempt.move.sop_instance_uids)


def taken_of_us(attempts: Iterable[Attempt]) -> Arrivals:
    """Return what the store node took of us (C-GET): its own answers are the receipts."""
    arrivals = Arrivals()
    for attempt in attempts:
        first = attempt.move.parts[0]
        if first.unlisted:
            if attempt.answer.stored:
                arrivals.unlisted.setdefault(first.key, set()).update(attempt.answer.stored)
        else:
            arrivals.sop_instance_uids |= attempt.answer.stored
    return arrivals


def conclude(
    order: MoveOrder, asked: MoveAttempts, arrivals: Arrivals, waited_s: float | None = None
) -> Conclusion:
    """Say what follows; `seen` is all that arrived of the task.

    `waited_s`: how long was waited for what may be on its way, if more patience is wanted for it.
    """
    conclusion = Conclusion()
    groups = _Groups()
    later: list[Attempt] = []
    for attempt in asked.attempts:
        verdict = _judge(order, attempt, arrivals)
        if verdict.action is Action.STOP:
            conclusion.stop = verdict
        elif verdict.action is Action.TRY_LATER:
            later.append(attempt)
        elif verdict.action is Action.DONE:
            conclusion.complete += [part.key for part in attempt.move.parts if part.unlisted]
        else:
            rest = _rest(attempt, arrivals)
            if waited_s is not None and _may_be_on_its_way(attempt, arrivals):
                rest, late = _failed_and_late(attempt, rest)
                conclusion.awaited += [_awaited(order, attempt, verdict, late, waited_s)]
                verdict = replace(verdict, action=Action.ASK_REST)
            if verdict.action is Action.CUT:
                _cut(order, attempt, arrivals, groups)
            else:
                _ask_or_lose(order, attempt, verdict, rest, groups, conclusion)
    groups.add(order, [part for one in asked.unsent for part in one.parts])
    conclusion.retry = _retry(order, asked, later, arrivals)
    _ask_later(order, later, groups)
    conclusion.tasks = groups.tasks()
    return conclusion


def _judge(order: MoveOrder, attempt: Attempt, arrivals: Arrivals) -> ResponseOutcome:
    expected, arrived = attempt.move.size, sum(arrivals.of(part) for part in attempt.move.parts)
    first = attempt.move.parts[0]
    if first.unlisted and arrived:
        sent = attempt.answer.sent if attempt.answer.succeeded and not attempt.answer.failures else None
        if arrivals.unlisted[first.key] == UNNAMED or (sent is not None and arrived >= sent):
            expected = arrived
    one = attempt.move
    return response_outcome(
        attempt.answer,
        asked=expected,
        arrived=arrived,
        simplest=one.simplest,
        several=one.is_list,
        spent=order.spent,
    )


def _may_be_on_its_way(attempt: Attempt, arrivals: Arrivals) -> bool:
    arrived = sum(arrivals.of(part) for part in attempt.move.parts)
    return attempt.answer.succeeded and may_come(attempt.answer, attempt.move.size) > arrived


def _failed_and_late(
    attempt: Attempt, rest: Sequence[SeriesPart]
) -> tuple[list[SeriesPart], list[SeriesPart]]:
    """Part what the PACS names as failed from what it may have sent."""
    named = frozenset(attempt.answer.failed_sop_instance_uids)
    late = [left for part in rest if (left := part if part.unlisted else part.without(named)) is not None]
    sent = {uid for part in late for uid in part.sop_instance_uids}
    failed = [left for part in rest if (left := part.without(sent)) is not None]
    return failed, late


def _awaited(
    order: MoveOrder, attempt: Attempt, verdict: ResponseOutcome, late: Sequence[SeriesPart], waited_s: float
) -> AwaitOrder:
    following = _next_round(order, attempt)
    last = following.round > MAX_ROUNDS
    again = following.of(part.by_objects() for part in late)
    loss = (verdict.state, verdict.reason.value, verdict.detail) if last else None
    unlisted = attempt.move.parts[0].unlisted
    expected = may_come(attempt.answer, attempt.move.size) if unlisted else 0
    return AwaitOrder(again, loss, expected, waited_s)


def _next_round(order: MoveOrder, attempt: Attempt) -> MoveOrder:
    """Return the order for what did not arrive: in lists, and one by one what did not come in a list.

    What was broken off is asked for as it was: something of it has arrived, so this has an end.
    """
    of_images = attempt.move.level == "IMAGE"
    if not attempt.answer.succeeded and not attempt.move.parts[0].unlisted:
        return replace(order, longest=order.longest if of_images else LIST_MAX_LENGTH, again=False)
    return replace(order, round=order.round + 1, longest=1 if of_images else LIST_MAX_LENGTH, again=False)


def _rest(attempt: Attempt, arrivals: Arrivals) -> list[SeriesPart]:
    parts = attempt.move.parts
    return [
        left
        for part in parts
        if (left := part if part.unlisted else part.without(arrivals.sop_instance_uids)) is not None
    ]


def _ask_or_lose(
    order: MoveOrder,
    attempt: Attempt,
    verdict: ResponseOutcome,
    rest: Sequence[SeriesPart],
    groups: _Groups,
    conclusion: Conclusion,
) -> None:
    by_objects = [part.by_objects() for part in rest]
    next_round = _next_round(order, attempt)
    if verdict.action is Action.ASK_SIMPLER and attempt.move.is_list:
        groups.add(order.in_lists_of(1), rest)
    elif verdict.action is Action.ASK_SIMPLER:
        # In no longer lists than its own: what another series brings to one may spoil it.
        groups.add(order.in_lists_of(attempt.move.size), by_objects)
    elif verdict.action is Action.ASK_REST and next_round.round <= MAX_ROUNDS:
        groups.add(next_round, by_objects)
    else:
        conclusion.losses += [Loss(part, verdict) for part in rest]


def _cut(order: MoveOrder, attempt: Attempt, arrivals: Arrivals, groups: _Groups) -> None:
    failed = frozenset(attempt.answer.failed_sop_instance_uids)
    for one in cut(attempt.move, arrivals.sop_instance_uids, failed):
        groups.add(order.in_lists_of(one.longest), one.parts)


def _ask_later(order: MoveOrder, later: Sequence[Attempt], groups: _Groups) -> None:
    """Ask again after a pause: what was answered together, what was not answered each by itself."""
    for attempt in later:
        alone = attempt.answer.status_code is None
        # A single object has no shorter list to be asked for in, once it was tried often enough.
        single = attempt.move.level == "IMAGE" and not attempt.move.is_list
        longest = 1 if single else order.longest
        groups.add(replace(order, again=True, longest=longest), attempt.move.parts, alone=alone)


def _retry(
    order: MoveOrder, asked: MoveAttempts, later: Sequence[Attempt], arrivals: Arrivals
) -> PeerError | None:
    if arrivals:
        return None
    if asked.no_association is not None:
        return asked.no_association
    hopeless = len(later) == len(asked.attempts) > 0 and not asked.unsent
    if hopeless and (order.again or len(later) == 1):
        return later[-1].answer.error
    return None


class _Groups:
    """Shares of tasks to come, by the manner in which they are asked for."""

    def __init__(self) -> None:
        self._shares: dict[MoveOrder, list[SeriesPart]] = {}
        self._alone: list[NewTask] = []

    def add(self, order: MoveOrder, parts: Iterable[SeriesPart], *, alone: bool = False) -> None:
        """Add shares that are asked for in the manner of this order, together or as one task of their own."""
        if alone:
            self._alone += move_tasks(parts, order)
        else:
            self._shares.setdefault(order.of(()), []).extend(parts)

    def tasks(self) -> list[NewTask]:
        """Return the tasks."""
        together = [task for manner, parts in self._shares.items() for task in move_tasks(parts, manner)]
        return together + self._alone
