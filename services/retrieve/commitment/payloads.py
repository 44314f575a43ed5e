"""The payloads of storage commitment tasks, and what follows from a report. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from services.retrieve.planning.moves import LIST_MAX_LENGTH, SeriesPart, split_tasks
from services.retrieve.planning.payloads import MAX_ROUNDS, MoveOrder, move_order, move_tasks
from shared.contract.json_types import JsonDocument, JsonObject
from shared.dicom.storage_commitment.messages import (
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    CommitmentResult,
)
from shared.jobs.new_task import NewTask

COMMIT, AWAIT_COMMIT = "commit", "await_commit"

#: Seconds between two checks for a report, and before the same objects are requested again.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 10.0

#: Failure Reasons (PS3.3 C.14-2) that may change later, or once the object was sent again.
_PASSING = frozenset({0, PROCESSING_FAILURE, NO_SUCH_INSTANCE, RESOURCE_LIMITATION})


@dataclass(frozen=True, slots=True)
class CommitOrder:
    """Objects that the store node is to commit to.

    `order` requests once more from the PACS those that the node does not have. `proof`: how their arrival is
    known if the node does not report. `missed_s`: seconds for which the node did not have them, though they
    were sent.
    """

    order: MoveOrder
    proof: str
    missed_s: float = 0.0

    def of(self, parts: Sequence[SeriesPart]) -> CommitOrder:
        """Return the same for these parts."""
        return replace(self, order=self.order.of(parts))

    def to_payload(self) -> JsonObject:
        """Return plain values; `commit_order` of them gives the same."""
        return {"order": self.order.to_payload(), "word": self.proof, "missed_s": self.missed_s}

    def tasks(self, parts: Iterable[SeriesPart], *, delay_s: float = 0.0) -> list[NewTask]:
        """Return tasks that request commitment to these parts; each sends one request."""
        by_objects = [part.by_objects() for part in parts]
        return [
            NewTask(COMMIT, self.of(chunk).to_payload(), delay_s=delay_s) for chunk in split_tasks(by_objects)
        ]


def commit_order(payload: JsonDocument) -> CommitOrder:
    """Read the payload of a commit task."""
    return CommitOrder(move_order(payload["order"]), payload["word"], payload["missed_s"])


def order_after(order: MoveOrder, proof: str) -> CommitOrder:
    """Return the commitment order after a move order: what the node lacks is requested a round later."""
    number = order.round + 1
    longest = LIST_MAX_LENGTH if number < MAX_ROUNDS else 1
    return CommitOrder(MoveOrder(round=number, longest=longest), proof)


@dataclass(frozen=True, slots=True)
class ReportOrder:
    """A report that is awaited; any of the transactions may be the one that the node reports on."""

    commit: CommitOrder
    transaction_uids: tuple[str, ...]
    waited_s: float = 0.0

    def to_payload(self) -> JsonObject:
        """Return plain values; `report_order` of them gives the same."""
        return {
            "commit": self.commit.to_payload(),
            "transactions": [*self.transaction_uids],
            "waited_s": self.waited_s,
        }

    def task(self, timeout_s: float) -> NewTask:
        """Return the task that checks after a pause; the last pause ends when time is up."""
        left_s = max(0.0, timeout_s - self.waited_s)
        pause_s = min(max(FIRST_PAUSE_S, self.waited_s / 2), LONGEST_PAUSE_S, left_s)
        later = replace(self, waited_s=self.waited_s + pause_s)
        return NewTask(AWAIT_COMMIT, later.to_payload(), delay_s=pause_s)


def report_order(payload: JsonDocument) -> ReportOrder:
    """Read the payload of a task that waits; its waiting counts the pause that has passed."""
    transactions = tuple(payload["transactions"])
    return ReportOrder(commit_order(payload["commit"]), transactions, payload["waited_s"])


@dataclass(slots=True)
class ReportOutcome:
    """What follows from a report."""

    committed: set[str] = field(default_factory=set)
    #: Objects that the report does not name.
    unnamed: list[SeriesPart] = field(default_factory=list)
    #: Objects that are given up, by Failure Reason.
    lost: dict[int, list[SeriesPart]] = field(default_factory=dict)
    tasks: list[NewTask] = field(default_factory=list)


def outcome_of_report(
    commit: CommitOrder, parts: Sequence[SeriesPart], report: CommitmentResult, grace_s: float
) -> ReportOutcome:
    """Return what follows from a report; objects in it that were not requested are ignored.

    What the node does not have may still be on its way: commitment is requested again within the grace
    period, and after it the object from the PACS.
    """
    outcome = ReportOutcome()
    requested = {uid for part in parts for uid in part.sop_instance_uids}
    outcome.committed = requested & report.committed
    outcome.unnamed = _without(parts, report.committed | report.failed.keys())
    again: list[SeriesPart] = []
    for reason, uids in _by_reason(requested, report):
        failed = [found for part in parts if (found := part.only(uids)) is not None]
        if reason in _PASSING and (commit.missed_s < grace_s or commit.order.round <= MAX_ROUNDS):
            again += failed
        else:
            outcome.lost[reason] = failed
    outcome.tasks = _again(commit, again, grace_s) if again else []
    return outcome


def _by_reason(requested: AbstractSet[str], report: CommitmentResult) -> list[tuple[int, set[str]]]:
    uids: dict[int, set[str]] = {}
    for uid in requested & report.failed.keys():
        uids.setdefault(report.failed[uid], set()).add(uid)
    return sorted(uids.items())


def _again(commit: CommitOrder, parts: Sequence[SeriesPart], grace_s: float) -> list[NewTask]:
    if commit.missed_s >= grace_s:
        return move_tasks((part.by_objects() for part in parts), commit.order)
    pause_s = min(max(FIRST_PAUSE_S, commit.missed_s / 2), LONGEST_PAUSE_S, grace_s - commit.missed_s)
    return replace(commit, missed_s=commit.missed_s + pause_s).tasks(parts, delay_s=pause_s)


def _without(parts: Sequence[SeriesPart], uids: Iterable[str]) -> list[SeriesPart]:
    named = frozenset(uids)
    return [left for part in parts if (left := part.without(named)) is not None]
