"""What the tasks of a retrieve carry, as plain values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.retrieve.moves import Share, split_tasks
from shared.jobs.model import NewTask

PLAN, EXPECT, MOVE, AWAIT = "plan", "expect", "move", "await"

#: How often objects that do not arrive are asked for: with their series, in a list, one by one.
MAX_ROUNDS = 3

#: Pauses between two looks for what a PACS sends later.
FIRST_AWAIT_S, LONGEST_AWAIT_S = 1.0, 10.0

#: Series of one task that finds out what to expect.
EXPECT_SERIES = 20

SeriesKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class MoveOrder:
    """What a move task asks for.

    Objects of a whole series are not listed: the ledger has them. `again`: the task holds only what failed
    before, so another failure is for the engine to pause after.
    """

    whole: tuple[SeriesKey, ...] = ()
    parts: tuple[Share, ...] = ()
    round: int = 1
    lists: bool = True
    again: bool = False

    @property
    def keys(self) -> list[SeriesKey]:
        """All series that it touches."""
        return list(dict.fromkeys([*self.whole, *(part.key for part in self.parts)]))

    def simpler(self) -> MoveOrder | None:
        """Return the same in a simpler way, a round later; None if there is none."""
        if self.round >= MAX_ROUNDS:
            return None
        if self.whole:
            return replace(self, round=self.round + 1, lists=True, again=False)
        return replace(self, round=self.round + 1, lists=False, again=False) if self.lists else None

    def to_payload(self) -> dict[str, Any]:
        """Return plain values; `move_order` of them gives the same."""
        return {
            "whole": [list(key) for key in self.whole],
            "parts": [[*part.key, list(part.sop_instance_uids)] for part in self.parts],
            "round": self.round,
            "lists": self.lists,
            "again": self.again,
        }


def move_order(payload: dict[str, Any]) -> MoveOrder:
    """Read the payload of a move task."""
    return MoveOrder(
        whole=tuple((study, series) for study, series in payload["whole"]),
        parts=tuple(Share(study, series, tuple(uids)) for study, series, uids in payload["parts"]),
        round=payload["round"],
        lists=payload["lists"],
        again=payload["again"],
    )


def move_tasks(
    shares: Iterable[Share], *, round_number: int = 1, lists: bool = True, again: bool = False
) -> list[NewTask]:
    """Return tasks that ask for these shares."""
    return [
        NewTask(MOVE, order_of(task, round_number, lists=lists, again=again).to_payload())
        for task in split_tasks(shares)
    ]


def order_of(shares: Sequence[Share], round_number: int, *, lists: bool, again: bool) -> MoveOrder:
    """Return the order of one task."""
    whole = tuple(share.key for share in shares if share.whole or share.nameless)
    parts = tuple(share for share in shares if not (share.whole or share.nameless))
    return MoveOrder(whole, parts, round_number, lists, again)


@dataclass(frozen=True, slots=True)
class AwaitOrder:
    """Objects that the PACS says it has sent and that are not there yet, and what follows if none comes.

    `loss`: state, reason and detail of what is then given up, None if it is asked for again by `order`.
    `expected`: objects of a series that nobody could name. `waited_s`: seconds since one arrived.
    """

    order: MoveOrder
    loss: tuple[str, str, str] | None
    expected: int
    waited_s: float

    def to_payload(self) -> dict[str, Any]:
        """Return plain values; `await_order` of them gives the same."""
        return {
            "order": self.order.to_payload(),
            "loss": list(self.loss) if self.loss else None,
            "expected": self.expected,
            "waited_s": self.waited_s,
        }

    def task(self, grace_s: float) -> NewTask:
        """Return the task that looks again after a pause, of which the last ends with the grace period."""
        pause_s = min(max(FIRST_AWAIT_S, self.waited_s / 2), LONGEST_AWAIT_S, grace_s - self.waited_s)
        later = replace(self, waited_s=self.waited_s + pause_s)
        return NewTask(AWAIT, later.to_payload(), delay_s=pause_s)


def await_order(payload: dict[str, Any]) -> AwaitOrder:
    """Read the payload of an await task; its waiting counts the pause that has passed."""
    loss = payload["loss"]
    return AwaitOrder(
        order=move_order(payload["order"]),
        loss=(loss[0], loss[1], loss[2]) if loss else None,
        expected=payload["expected"],
        waited_s=payload["waited_s"],
    )


def expect_tasks(keys: Sequence[SeriesKey]) -> list[NewTask]:
    """Return tasks that find out the objects of these series."""
    return [
        NewTask(EXPECT, {"series": [list(key) for key in keys[start : start + EXPECT_SERIES]]})
        for start in range(0, len(keys), EXPECT_SERIES)
    ]


def plan_task(after: SeriesKey | None = None) -> NewTask:
    """Return the task that plans the series of the ledger behind this one."""
    return NewTask(PLAN, {"after": list(after) if after else None})


def order_tasks(order: MoveOrder, shares: Iterable[Share]) -> list[NewTask]:
    """Return tasks that ask for these shares in the manner of an order."""
    return move_tasks(shares, round_number=order.round, lists=order.lists, again=order.again)
