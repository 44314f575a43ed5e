"""From the answers to a task's C-MOVEs and what arrived to what follows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from services.retrieve.context import Seen
from services.retrieve.planning.bisection import cut
from services.retrieve.planning.moves import LIST_MAX_LENGTH, Share
from services.retrieve.planning.payloads import MAX_ROUNDS, AwaitOrder, MoveOrder, SeriesKey, move_tasks
from services.retrieve.planning.response_outcome import Action, Verdict, claimed, judge, may_come
from services.retrieve.transfer.c_move import Asked, Attempt
from shared.dicom.errors import PeerError
from shared.jobs.model import NewTask

#: A series that the PACS says it has sent, and of which nothing can be named.
UNNAMED = frozenset({""})


@dataclass(frozen=True, slots=True)
class Loss:
    """Objects that are given up, and why."""

    share: Share
    verdict: Verdict


@dataclass(slots=True)
class Conclusion:
    """What follows from one task."""

    tasks: list[NewTask] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    #: Series without names of which nothing more comes.
    complete: list[SeriesKey] = field(default_factory=list)
    #: No other C-MOVE of the job can succeed.
    stop: Verdict | None = None
    #: Nothing came of it, and the same is to be tried after a pause.
    retry: PeerError | None = None
    #: Objects that the PACS says it has sent, and that may be on their way.
    awaited: list[AwaitOrder] = field(default_factory=list)


def on_their_way(attempts: Iterable[Attempt]) -> int:
    """Return how many objects may arrive that the PACS says it has sent."""
    return sum(may_come(one.answer, one.move.size) for one in attempts)


def take_at_its_word(attempts: Iterable[Attempt], seen: Seen) -> None:
    """Add to what was seen what the PACS says it has sent: nothing else can be known."""
    for one in attempts:
        if one.move.shares[0].nameless:
            if claimed(one.answer, [""]):
                seen.nameless.setdefault(one.move.shares[0].key, set(UNNAMED))
        else:
            seen.sop_instance_uids |= claimed(one.answer, one.move.sop_instance_uids)


def taken_of_us(attempts: Iterable[Attempt]) -> Seen:
    """Return what the store node took of us (C-GET): its own answers are the receipts."""
    seen = Seen()
    for one in attempts:
        first = one.move.shares[0]
        if first.nameless:
            if one.answer.stored:
                seen.nameless.setdefault(first.key, set()).update(one.answer.stored)
        else:
            seen.sop_instance_uids |= one.answer.stored
    return seen


def conclude(order: MoveOrder, asked: Asked, seen: Seen, waited_s: float | None = None) -> Conclusion:
    """Say what follows; `seen` is all that arrived of the task.

    `waited_s`: how long was waited for what may be on its way, if more patience is wanted for it.
    """
    conclusion = Conclusion()
    groups = _Groups()
    later: list[Attempt] = []
    for attempt in asked.attempts:
        verdict = _judge(order, attempt, seen)
        if verdict.action is Action.STOP:
            conclusion.stop = verdict
        elif verdict.action is Action.TRY_LATER:
            later.append(attempt)
        elif verdict.action is Action.DONE:
            conclusion.complete += [share.key for share in attempt.move.shares if share.nameless]
        else:
            rest = _rest(attempt, seen)
            if waited_s is not None and _may_be_on_its_way(attempt, seen):
                rest, late = _failed_and_late(attempt, rest)
                conclusion.awaited += [_awaited(order, attempt, verdict, late, waited_s)]
                verdict = replace(verdict, action=Action.ASK_REST)
            if verdict.action is Action.CUT:
                _cut(order, attempt, seen, groups)
            else:
                _ask_or_lose(order, attempt, verdict, rest, groups, conclusion)
    groups.add(order, [share for one in asked.unasked for share in one.shares])
    conclusion.retry = _retry(order, asked, later, seen)
    _ask_later(order, later, groups)
    conclusion.tasks = groups.tasks()
    return conclusion


def _judge(order: MoveOrder, attempt: Attempt, seen: Seen) -> Verdict:
    expected, arrived = attempt.move.size, sum(seen.of(share) for share in attempt.move.shares)
    first = attempt.move.shares[0]
    if first.nameless and arrived:
        sent = attempt.answer.sent if attempt.answer.succeeded and not attempt.answer.failures else None
        if seen.nameless[first.key] == UNNAMED or (sent is not None and arrived >= sent):
            expected = arrived
    one = attempt.move
    return judge(
        attempt.answer,
        asked=expected,
        arrived=arrived,
        simplest=one.simplest,
        several=one.is_list,
        spent=order.spent,
    )


def _may_be_on_its_way(attempt: Attempt, seen: Seen) -> bool:
    arrived = sum(seen.of(share) for share in attempt.move.shares)
    return attempt.answer.succeeded and may_come(attempt.answer, attempt.move.size) > arrived


def _failed_and_late(attempt: Attempt, rest: Sequence[Share]) -> tuple[list[Share], list[Share]]:
    """Part what the PACS names as failed from what it may have sent."""
    named = frozenset(attempt.answer.failed_sop_instance_uids)
    late = [left for share in rest if (left := share if share.nameless else share.without(named)) is not None]
    sent = {uid for share in late for uid in share.sop_instance_uids}
    failed = [left for share in rest if (left := share.without(sent)) is not None]
    return failed, late


def _awaited(
    order: MoveOrder, attempt: Attempt, verdict: Verdict, late: Sequence[Share], waited_s: float
) -> AwaitOrder:
    following = _next_round(order, attempt)
    last = following.round > MAX_ROUNDS
    again = following.of(share.by_objects() for share in late)
    loss = (verdict.state, verdict.reason.value, verdict.detail) if last else None
    nameless = attempt.move.shares[0].nameless
    expected = may_come(attempt.answer, attempt.move.size) if nameless else 0
    return AwaitOrder(again, loss, expected, waited_s)


def _next_round(order: MoveOrder, attempt: Attempt) -> MoveOrder:
    """Return the order for what did not arrive: in lists, and one by one what did not come in a list.

    What was broken off is asked for as it was: something of it has arrived, so this has an end.
    """
    of_images = attempt.move.level == "IMAGE"
    if not attempt.answer.succeeded and not attempt.move.shares[0].nameless:
        return replace(order, longest=order.longest if of_images else LIST_MAX_LENGTH, again=False)
    return replace(order, round=order.round + 1, longest=1 if of_images else LIST_MAX_LENGTH, again=False)


def _rest(attempt: Attempt, seen: Seen) -> list[Share]:
    shares = attempt.move.shares
    return [
        left
        for share in shares
        if (left := share if share.nameless else share.without(seen.sop_instance_uids)) is not None
    ]


def _ask_or_lose(
    order: MoveOrder,
    attempt: Attempt,
    verdict: Verdict,
    rest: Sequence[Share],
    groups: _Groups,
    conclusion: Conclusion,
) -> None:
    by_objects = [share.by_objects() for share in rest]
    next_round = _next_round(order, attempt)
    if verdict.action is Action.ASK_SIMPLER and attempt.move.is_list:
        groups.add(order.in_lists_of(1), rest)
    elif verdict.action is Action.ASK_SIMPLER:
        # In no longer lists than its own: what another series brings to one may spoil it.
        groups.add(order.in_lists_of(attempt.move.size), by_objects)
    elif verdict.action is Action.ASK_REST and next_round.round <= MAX_ROUNDS:
        groups.add(next_round, by_objects)
    else:
        conclusion.losses += [Loss(share, verdict) for share in rest]


def _cut(order: MoveOrder, attempt: Attempt, seen: Seen, groups: _Groups) -> None:
    failed = frozenset(attempt.answer.failed_sop_instance_uids)
    for one in cut(attempt.move, seen.sop_instance_uids, failed):
        groups.add(order.in_lists_of(one.longest), one.shares)


def _ask_later(order: MoveOrder, later: Sequence[Attempt], groups: _Groups) -> None:
    """Ask again after a pause: what was answered together, what was not answered each by itself."""
    for attempt in later:
        alone = attempt.answer.status_code is None
        # A single object has no shorter list to be asked for in, once it was tried often enough.
        single = attempt.move.level == "IMAGE" and not attempt.move.is_list
        longest = 1 if single else order.longest
        groups.add(replace(order, again=True, longest=longest), attempt.move.shares, alone=alone)


def _retry(order: MoveOrder, asked: Asked, later: Sequence[Attempt], seen: Seen) -> PeerError | None:
    if seen:
        return None
    if asked.no_association is not None:
        return asked.no_association
    hopeless = len(later) == len(asked.attempts) > 0 and not asked.unasked
    if hopeless and (order.again or len(later) == 1):
        return later[-1].answer.error
    return None


class _Groups:
    """Shares of tasks to come, by the manner in which they are asked for."""

    def __init__(self) -> None:
        self._shares: dict[MoveOrder, list[Share]] = {}
        self._alone: list[NewTask] = []

    def add(self, order: MoveOrder, shares: Iterable[Share], *, alone: bool = False) -> None:
        """Add shares that are asked for in the manner of this order, together or as one task of their own."""
        if alone:
            self._alone += move_tasks(shares, order)
        else:
            self._shares.setdefault(order.of(()), []).extend(shares)

    def tasks(self) -> list[NewTask]:
        """Return the tasks."""
        together = [task for manner, shares in self._shares.items() for task in move_tasks(shares, manner)]
        return together + self._alone
