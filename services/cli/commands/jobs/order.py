"""`doseqr raise`, and what the commands share that change a job which may not have begun yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_broker, opened_database, settings_of_command, who
from services.cli.output.console import JsonOption, line, notice, print_json

if TYPE_CHECKING:
    from services.cli.client.job_orders import JobOrder
    from shared.database.session import Database
    from shared.reading.jobs import Job
    from shared.settings import Settings

JobArgument = Annotated[str, typer.Argument(metavar="JOB_ID", help="The job's id, or its beginning.")]


@dataclass(frozen=True)
class JobChange:
    """A job after an order about it; none as long as no service has taken the job's own command."""

    job_id: str
    job: Job | None


def raise_priority(job_id: JobArgument, as_json: JsonOption = False) -> None:
    """Let a query or retrieve go before all others of its node, until it has ended.

    The tasks of others that are in hand are finished. Raised jobs share the node evenly among themselves.

    Example: doseqr raise 4f1c2f6e
    """
    from shared.contract.messages import RaiseJob

    settings = settings_of_command()
    with opened_database(settings) as database:
        change = change_job(settings, database, job_id, RaiseJob, lambda job: job.raised is not None)
    print_change(change, as_json=as_json)


def change_job(
    settings: Settings,
    database: Database,
    job_id: str,
    order: Callable[..., JobOrder],
    is_done: Callable[[Job], bool],
) -> JobChange:
    """Publish an order about a job, and return the job as it is then; one that has ended stays as it is."""
    from services.cli.client.job_orders import may_be_on_its_way, order_and_wait, order_early
    from shared.contract.messages import ENDED
    from shared.reading.jobs import UnknownJobError, find_job, kind_of

    with database.read() as session:
        try:
            job = find_job(session, job_id)
        except UnknownJobError:
            if not may_be_on_its_way(job_id):
                raise
            job = None
    if job is None:
        with opened_broker(settings) as broker:
            order_ = order(job_id=job_id.strip(), requested_by=who())
            return JobChange(job_id.strip(), order_early(database, broker, order_))
    if job.status in ENDED or is_done(job):
        return JobChange(job.id, job)
    with opened_broker(settings) as broker:
        changed = order_and_wait(database, broker, job, order(job_id=job.id, requested_by=who()), is_done)
    if changed is None:
        notice(
            f"No service has taken the command yet; it is done as soon as a {kind_of(job)} worker is free."
        )
    return JobChange(job.id, changed or job)


def print_change(change: JobChange, *, as_json: bool) -> None:
    """Print a job after an order about it, as JSON or in words."""
    from shared.reading.job_json import summary
    from shared.reading.jobs import kind_of

    job = change.job
    if job is None:
        notice("No service has taken the job yet; this is done as soon as one takes it.")
        if as_json:
            print_json({"id": change.job_id, "status": "queued"})
        else:
            line(f"Job {change.job_id}: queued")
    elif as_json:
        print_json(summary(job))
    else:
        notes = [note for note in (job.hold_note, _raised_note(job)) if note]
        note = f" ({'; '.join(notes)})" if notes else ""
        line(f"{kind_of(job).capitalize()} {job.id}: {job.status}{note}")


def _raised_note(job: Job) -> str:
    raised = job.priority_raise
    if raised is None or job.ended_at is not None:
        return ""
    return f"raised{' by ' + raised.by if raised.by else ''} since {raised.since}"
