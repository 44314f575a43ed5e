"""The payloads of retrieve tasks as plain values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from services.retrieve.planning.moves import LIST_MAX_LENGTH, SeriesPart, split_tasks
from shared.contract.json_types import JsonDocument, JsonObject
from shared.jobs.new_task import NewTask

PLAN, EXPECT, MOVE, AWAIT = "plan", "expect", "move", "await"

#: Requests for an object that does not arrive: with its series, in a list, alone.
MAX_ROUNDS = 3

#: Seconds between two checks for what a PACS sends later, at first and at most.
FIRST_AWAIT_S, LONGEST_AWAIT_S = 1.0, 10.0

#: Series of one task that lists the objects to expect.
EXPECT_SERIES = 20

SeriesKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class MoveOrder:
    """What a move task requests.

    Objects of a whole series are not listed: the ledger has them. `longest`: UIDs of one list. `again`: the
    task holds only what failed before, so the engine pauses after another failure. `spent`: longer lists
    were tried as often as is allowed, so one that fails is not tried again as it is.
    """

    whole: tuple[SeriesKey, ...] = ()
    parts: tuple[SeriesPart, ...] = ()
    round: int = 1
    longest: int = LIST_MAX_LENGTH
    again: bool = False
    spent: bool = False

    @property
    def keys(self) -> list[SeriesKey]:
        """All series that it touches."""
        return list(dict.fromkeys([*self.whole, *(part.key for part in self.parts)]))

    def of(self, parts: Iterable[SeriesPart]) -> MoveOrder:
        """Return the same for these parts."""
        listed = list(parts)
        whole = tuple(part.key for part in listed if part.whole or part.unlisted)
        partial = tuple(part for part in listed if not (part.whole or part.unlisted))
        return replace(self, whole=whole, parts=partial)

    def in_lists_of(self, longest: int) -> MoveOrder:
        """Return the same for lists that are no longer than this; single objects are in the second round."""
        number = max(self.round, 2) if longest == 1 else self.round
        return replace(self, round=number, longest=max(1, min(longest, LIST_MAX_LENGTH)), again=False)

    def simpler(self) -> MoveOrder | None:
        """Return a simpler order for the same, once this one was tried often enough; None if there is none.

        Whole series are requested by objects, a round later; lists of objects in halves.
        """
        if self.whole:
            later = replace(self, round=self.round + 1, longest=LIST_MAX_LENGTH, again=False)
            return later if later.round <= MAX_ROUNDS else None
        length = min(self.longest, sum(part.size for part in self.parts))
        if length <= 1 or self.spent:
            return None
        return replace(self.in_lists_of(half(length)), spent=True)

    def to_payload(self) -> JsonObject:
        """Return plain values; `move_order` of them gives the same."""
        return {
            "whole": [[*key] for key in self.whole],
            "parts": [[*part.key, [*part.sop_instance_uids]] for part in self.parts],
            "round": self.round,
            "longest": self.longest,
            "again": self.again,
            "spent": self.spent,
        }


def half(length: int) -> int:
    """Return the length of the longer half of a list."""
    return (length + 1) // 2


def move_order(payload: JsonDocument) -> MoveOrder:
    """Read the payload of a move task."""
    return MoveOrder(
        whole=tuple((study, series) for study, series in payload["whole"]),
        parts=tuple(SeriesPart(study, series, tuple(uids)) for study, series, uids in payload["parts"]),
        round=payload["round"],
        longest=_longest(payload),
        again=payload["again"],
        spent=payload.get("spent", False),
    )


def _longest(payload: JsonDocument) -> int:
    # A task of a retrieve that began before lists were halved only holds whether there are any.
    whole_or_single = LIST_MAX_LENGTH if payload.get("lists", True) else 1
    return int(payload.get("longest", whole_or_single))


def move_tasks(parts: Iterable[SeriesPart], order: MoveOrder | None = None) -> list[NewTask]:
    """Return tasks that request these parts with the round and list length of an order."""
    order = order or MoveOrder()
    return [NewTask(MOVE, order.of(task).to_payload()) for task in split_tasks(parts)]


@dataclass(frozen=True, slots=True)
class AwaitOrder:
    """Objects that the PACS reports as sent and that are not there yet, and what follows if none comes.

    `loss`: state, reason and detail of what is then given up; None if `order` requests it again.
    `expected`: objects of an unlisted series; `here`: those that had arrived at the last check. `waited_s`:
    seconds since one arrived.
    """

    order: MoveOrder
    loss: tuple[str, str, str] | None
    expected: int
    waited_s: float
    here: int = 0

    def to_payload(self) -> JsonObject:
        """Return plain values; `await_order` of them gives the same."""
        return {
            "order": self.order.to_payload(),
            "loss": [*self.loss] if self.loss else None,
            "expected": self.expected,
            "waited_s": self.waited_s,
            "here": self.here,
        }

    def task(self, grace_s: float) -> NewTask:
        """Return the task that checks again after a pause; the last pause ends with the grace period."""
        pause_s = min(max(FIRST_AWAIT_S, self.waited_s / 2), LONGEST_AWAIT_S, grace_s - self.waited_s)
        later = replace(self, waited_s=self.waited_s + pause_s)
        return NewTask(AWAIT, later.to_payload(), delay_s=pause_s)


def await_order(payload: JsonDocument) -> AwaitOrder:
    """Read the payload of an await task; its waiting counts the pause that has passed."""
    loss = payload["loss"]
    return AwaitOrder(
        order=move_order(payload["order"]),
        loss=(loss[0], loss[1], loss[2]) if loss else None,
        expected=payload["expected"],
        waited_s=payload["waited_s"],
        here=payload.get("here", 0),  # a task of an earlier version has none, and waits once more
    )


def expect_tasks(keys: Sequence[SeriesKey]) -> list[NewTask]:
    """Return tasks that list the objects of these series."""
    return [
        NewTask(EXPECT, {"series": [list(key) for key in keys[start : start + EXPECT_SERIES]]})
        for start in range(0, len(keys), EXPECT_SERIES)
    ]


def plan_task(after: SeriesKey | None = None) -> NewTask:
    """Return the task that plans the series of the ledger after this one."""
    return NewTask(PLAN, {"after": list(after) if after else None})
