"""What the tasks of a storage commitment carry, as plain values, and what follows from a report. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

from services.retrieve.planning.moves import LIST_MAX_LENGTH, SeriesPart, split_tasks
from services.retrieve.planning.payloads import MAX_ROUNDS, MoveOrder, move_order, move_tasks
from shared.dicom.association.storage_commitment import (
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    CommitmentResult,
)
from shared.jobs.new_task import NewTask

COMMIT, AWAIT_COMMIT = "commit", "await_commit"

#: Pauses between two looks for a report, and before the node is asked for the same objects again.
FIRST_LOOK_S, LONGEST_LOOK_S = 1.0, 10.0

#: Failure Reasons that may be another ones later, or once the object was sent again; others stay.
_PASSING = frozenset({0, PROCESSING_FAILURE, NO_SUCH_INSTANCE, RESOURCE_LIMITATION})


@dataclass(frozen=True, slots=True)
class CommitOrder:
    """Objects that the store node is asked to commit to.

    `order` asks the PACS once more for those that the node does not have. `word`: how their arrival is known
    if the node says nothing. `missed_s`: seconds for which the node did not have them, though they were sent.
    """

    order: MoveOrder
    word: str
    missed_s: float = 0.0

    def of(self, parts: Sequence[SeriesPart]) -> CommitOrder:
        """Return the same for these shares."""
        return replace(self, order=self.order.of(parts))

    def to_payload(self) -> dict[str, Any]:
        """Return plain values; `commit_order` of them gives the same."""
        return {"order": self.order.to_payload(), "word": self.word, "missed_s": self.missed_s}

    def tasks(self, parts: Iterable[SeriesPart], *, delay_s: float = 0.0) -> list[NewTask]:
        """Return tasks that ask the node for these shares; each sends one request."""
        by_objects = [part.by_objects() for part in parts]
        return [
            NewTask(COMMIT, self.of(chunk).to_payload(), delay_s=delay_s) for chunk in split_tasks(by_objects)
        ]


def commit_order(payload: dict[str, Any]) -> CommitOrder:
    """Read the payload of a commit task."""
    return CommitOrder(move_order(payload["order"]), payload["word"], payload["missed_s"])


def order_after(order: MoveOrder, word: str) -> CommitOrder:
    """Return how the node is asked for what an order brought: what it lacks is asked for a round later."""
    number = order.round + 1
    longest = LIST_MAX_LENGTH if number < MAX_ROUNDS else 1
    return CommitOrder(MoveOrder(round=number, longest=longest), word)


@dataclass(frozen=True, slots=True)
class ReportOrder:
    """A report that is waited for; any of the transactions may be the one that the node reports on."""

    commit: CommitOrder
    transaction_uids: tuple[str, ...]
    waited_s: float = 0.0

    def to_payload(self) -> dict[str, Any]:
        """Return plain values; `report_order` of them gives the same."""
        transactions = list(self.transaction_uids)
        return {"commit": self.commit.to_payload(), "transactions": transactions, "waited_s": self.waited_s}

    def task(self, timeout_s: float) -> NewTask:
        """Return the task that looks after a pause, of which the last ends when time is up."""
        left_s = max(0.0, timeout_s - self.waited_s)
        pause_s = min(max(FIRST_LOOK_S, self.waited_s / 2), LONGEST_LOOK_S, left_s)
        later = replace(self, waited_s=self.waited_s + pause_s)
        return NewTask(AWAIT_COMMIT, later.to_payload(), delay_s=pause_s)


def report_order(payload: dict[str, Any]) -> ReportOrder:
    """Read the payload of a task that waits; its waiting counts the pause that has passed."""
    transactions = tuple(payload["transactions"])
    return ReportOrder(commit_order(payload["commit"]), transactions, payload["waited_s"])


@dataclass(slots=True)
class Following:
    """What follows from a report."""

    committed: set[str] = field(default_factory=set)
    #: Objects of which it says nothing.
    unsaid: list[SeriesPart] = field(default_factory=list)
    #: Objects that are given up, by Failure Reason.
    lost: dict[int, list[SeriesPart]] = field(default_factory=dict)
    tasks: list[NewTask] = field(default_factory=list)


def follow(
    commit: CommitOrder, parts: Sequence[SeriesPart], report: CommitmentResult, grace_s: float
) -> Following:
    """Say what follows from a report; what it says of objects that were not asked for is passed over.

    What the node does not have may still be on its way: it is asked once more within the grace period, after
    it the PACS is.
    """
    following = Following()
    asked = {uid for part in parts for uid in part.sop_instance_uids}
    following.committed = asked & report.committed
    following.unsaid = _without(parts, report.committed | report.failed.keys())
    again: list[SeriesPart] = []
    for reason, uids in _by_reason(asked, report):
        failed = [found for part in parts if (found := part.only(uids)) is not None]
        if reason in _PASSING and (commit.missed_s < grace_s or commit.order.round <= MAX_ROUNDS):
            again += failed
        else:
            following.lost[reason] = failed
    following.tasks = _again(commit, again, grace_s) if again else []
    return following


def _by_reason(asked: AbstractSet[str], report: CommitmentResult) -> list[tuple[int, set[str]]]:
    uids: dict[int, set[str]] = {}
    for uid in asked & report.failed.keys():
        uids.setdefault(report.failed[uid], set()).add(uid)
    return sorted(uids.items())


def _again(commit: CommitOrder, parts: Sequence[SeriesPart], grace_s: float) -> list[NewTask]:
    if commit.missed_s >= grace_s:
        return move_tasks((part.by_objects() for part in parts), commit.order)
    pause_s = min(max(FIRST_LOOK_S, commit.missed_s / 2), LONGEST_LOOK_S, grace_s - commit.missed_s)
    return replace(commit, missed_s=commit.missed_s + pause_s).tasks(parts, delay_s=pause_s)


def _without(parts: Sequence[SeriesPart], uids: Iterable[str]) -> list[SeriesPart]:
    said = frozenset(uids)
    return [left for part in parts if (left := part.without(said)) is not None]
