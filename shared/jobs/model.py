"""What the engine and a service say to each other about jobs and tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from shared.contract.messages import JobKind
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import PeerError
from shared.jobs.new_task import NewTask


@dataclass(frozen=True, slots=True)
class Claim:
    """A task in hand: only the holder of the token may end it."""

    job_id: str
    task_id: int
    kind: str
    payload: dict[str, Any]
    token: str
    failures: int
    failing_for_s: float


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ends."""

    status: str
    failure: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RerunRequest:
    """Who asks again for what is missing of a job, by which command."""

    command_id: str
    requested_by: str
    at: datetime

    def is_known_to(self, job: Any) -> bool:
        """Tell whether the job was asked again by this very command before."""
        return any(one["command_id"] == self.command_id for one in job.asked_again or ())

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
    #: What the job waits for now, in words, if it waits.
    note: str = ""


class JobService(Protocol):
    """What a service does with its tasks; the engine does the rest."""

    @property
    def kind(self) -> JobKind:
        """The kind of its jobs."""
        ...

    @property
    def job_table(self) -> type[Any]:
        """The table of its jobs (JobColumns)."""
        ...

    @property
    def task_table(self) -> type[Any]:
        """The table of its tasks (TaskColumns with job_id)."""
        ...

    def perform(self, claim: Claim, cancellation: Cancellation) -> Result:
        """Do the work of one task, outside of any transaction.

        Raises:
            PeerError: it did not work; the engine decides whether it is tried again.
            InterruptedWorkError: `cancellation` was requested.
        """
        ...

    def give_up(self, claim: Claim, error: PeerError) -> Result:
        """Say what it means that a task failed for good."""
        ...

    def drained(self, session: Session, job_id: str) -> Sequence[NewTask] | Ending:
        """Say what follows when no task of a job is open: more tasks, or its end. The job is locked."""
        ...

    def counts(self, session: Session, job_id: str) -> dict[str, Any]:
        """Return the counts for progress and ending events."""
        ...

    def before_announcing(self, session: Session, job_id: str) -> None:
        """Do what must have been done once an end is announced; may run twice."""
        ...
