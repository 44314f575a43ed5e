"""What the engine and a service exchange about jobs and tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from sqlalchemy.orm import Session

from shared.contract.json_types import JsonDocument, JsonObject
from shared.contract.messages import JobKind, Progress
from shared.database.models import JobRow, TaskRow
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import PeerError
from shared.jobs.new_task import NewTask
from shared.tracing.trace_context import Causation

JobT = TypeVar("JobT", bound=JobRow)
JobT_co = TypeVar("JobT_co", bound=JobRow, covariant=True)


@dataclass(frozen=True, slots=True)
class Claim:
    """A task in hand: only the holder of the token may end it."""

    job_id: str
    task_id: int
    kind: str
    payload: JsonDocument
    token: str
    failures: int
    failing_for_s: float


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Who cancels a job, and by which command."""

    command_id: str
    requested_by: str

    def to_json(self) -> dict[str, str]:
        """Return it as the job keeps it, and as the event of its end holds it."""
        return {"command_id": self.command_id, "cancelled_by": self.requested_by}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ends."""

    status: str
    failure: str = ""
    detail: str = ""
    #: The command that cancelled it.
    request: CancelRequest | None = None


@dataclass(frozen=True, slots=True)
class RerunRequest:
    """Who requests what is missing of a job once more, and by which command."""

    command_id: str
    requested_by: str
    at: datetime

    def is_known_to(self, job: JobRow) -> bool:
        """Return whether this very command has already rerun the job."""
        return any(rerun["command_id"] == self.command_id for rerun in job.asked_again or ())

    def to_json(self) -> dict[str, str]:
        """Return it as the job keeps it."""
        at = self.at.isoformat()
        return {"command_id": self.command_id, "requested_by": self.requested_by, "at": at}


@dataclass(frozen=True, slots=True)
class Result:
    """How work on a task ended; `write` runs in the transaction that ends the task, only if it is still ours.

    `write` returns the tasks that follow from it. `after` runs once that is committed; it must not raise.
    """

    write: Callable[[Session], Sequence[NewTask]]
    state: str = "done"
    error: str = ""
    detail: str = ""
    end_job: Ending | None = None
    after: Callable[[], None] | None = None
    #: What the job waits for now, for people; empty if it does not wait.
    note: str = ""


@dataclass(frozen=True, slots=True)
class ProgressTurn:
    """The event of a job's progress for which this process has the turn."""

    event: Progress
    at: datetime
    causation: Causation


@dataclass(frozen=True, slots=True)
class Advance:
    """What one transaction set free: to be published once it is committed."""

    job_id: str
    #: Ids of the tasks that are queued now.
    released: Sequence[int]
    #: Other jobs of the node that have less than their share.
    others: Sequence[str]
    #: What its tasks go back to.
    causation: Causation
    ended: bool
    #: Its progress, where the event of it is due.
    progress: ProgressTurn | None = None


class JobService(Protocol[JobT_co]):
    """What a service does with its tasks; the engine does the rest."""

    @property
    def kind(self) -> JobKind:
        """The kind of its jobs."""
        ...

    @property
    def job_table(self) -> type[JobT_co]:
        """The table of its jobs."""
        ...

    @property
    def task_table(self) -> type[TaskRow]:
        """The table of its tasks."""
        ...

    def perform(self, claim: Claim, cancellation: Cancellation) -> Result:
        """Do the work of one task, outside of any transaction.

        Raises:
            PeerError: it did not work; the engine decides whether it is tried again.
            InterruptedWorkError: `cancellation` was requested.
        """
        ...

    def give_up(self, claim: Claim, error: PeerError) -> Result:
        """Return what follows when a task has failed for good."""
        ...

    def drained(self, session: Session, job_id: str) -> Sequence[NewTask] | Ending:
        """Return what follows when a job has no open task: more tasks, or its end. The job is locked."""
        ...

    def counts(self, session: Session, job_id: str) -> JsonObject:
        """Return the counts for progress and ending events."""
        ...

    def ending_fields(self, session: Session, job_id: str) -> JsonDocument:
        """Return what the event of an end holds beside the counts."""
        ...

    def before_announcing(self, session: Session, job_id: str) -> None:
        """Do what must be done before an end is announced; may run twice."""
        ...
