"""The trace of a job as text for people at a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from services.cli.output.console import line
from shared.dicom.errors import dimse_status
from shared.reading.jobs import Job, get_job
from shared.reading.traces.tasks import TraceRequest, TraceTask
from shared.reading.traces.tree import TraceJob, job_trace


def print_trace(session: Session, job: Job, *, limit: int, after: int) -> None:
    """Print the jobs of a trace, each with its tasks and their requests."""
    read = job_trace(session, job, limit=1)
    line(f"Trace {read['trace_id']}")
    for member in read["jobs"]:
        _print_job(member)
        row = get_job(session, member["id"])
        if row is None:
            continue
        page = job_trace(session, row, limit=limit, after=after)
        for task in page["tasks"]:
            _print_task(task)
        if page["next"] is not None:
            line(f"    more tasks: doseqr trace {row.id} --after {page['next']}")
    if read["jobs_left_out"]:
        line(f"and {read['jobs_left_out']} more jobs")


def _print_job(job: TraceJob) -> None:
    lasted = f" after {_seconds(job['duration_s'])}" if job["duration_s"] is not None else ""
    failure = f" ({job['failure']})" if job["failure"] else ""
    line(f"{job['kind']} {job['id']}: {job['status']}{failure}{lasted}")
    line(f"  requested {job['requested_at']} by {job['requested_by'] or 'nobody named'}{_cause(job)}")
    if job["commands"]:
        line(f"  commands  {', '.join(job['commands'])}")
    for kind, states in job["tasks"].items():
        line(f"  tasks     {kind}: {_counts(states)}")
    line(f"  requests  {job['requests']}")
    for name, counts in (("studies", job["studies"]), ("objects", job["objects"])):
        if counts:
            line(f"  {name:<9} {_counts(counts)}")
    for batch in job["handover"]:
        reason = f" ({batch['reason']})" if batch["reason"] else ""
        ended = f", {batch['ended_at']}" if batch["ended_at"] else ""
        line(
            f"  importer  {batch['objects']} objects {batch['status']}{reason}, batch {batch['batch']}{ended}"
        )
    if job["batches_left_out"]:
        line(f"  importer  and {job['batches_left_out']} more batches")
    if job["notifications"]:
        line(f"  notices   {_counts(job['notifications'])}")


def _cause(job: TraceJob) -> str:
    caller = f", in span {job['caller_span_id']}" if job["caller_span_id"] else ""
    return (f", caused by {job['caused_by']}" if job["caused_by"] else "") + caller


def _print_task(task: TraceTask) -> None:
    lasted = f" in {_seconds(task['duration_s'])}" if task["duration_s"] is not None else ""
    error = f" ({task['error']})" if task["error"] else ""
    failures = f", {task['failures']} failed tries" if task["failures"] else ""
    parent = f" of {task['parent']}" if task["parent"] else ""
    begun = f", begun {task['started_at']} by {task['worker']}" if task["started_at"] else ""
    line(f"    task {task['id']} {task['kind']}{parent}: {task['state']}{error}{lasted}{failures}{begun}")
    if task["objects"]:
        line(f"      objects {_counts(task['objects'])}")
    for request in task["requests"]:
        line(f"      {_request(request)}")
    if task["requests_left_out"]:
        line(f"      and {task['requests_left_out']} more requests")


def _request(request: TraceRequest) -> str:
    parts = [f"{request['operation']} {request['level']}".strip()]
    if status := dimse_status(request["status_code"], request["error"]):
        parts.append(status)
    if request["matches"] is not None:
        parts.append(f"{request['matches']} matches")
    parts += [_counts(counts) for counts in (request["sub_operations"], request["objects"]) if counts]
    if request["error"]:
        parts.append(request["error"])
    if request["duration_ms"] is not None:
        parts.append(f"{request['duration_ms']} ms")
    return f"{', '.join(parts)}, {request['requested_at']}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())


def _seconds(seconds: float | None) -> str:
    return f"{seconds or 0:.1f} s"
