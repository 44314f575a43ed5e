"""Publishing the commands of requests, and waiting a moment for what becomes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus

from flask import request

from services.web.api.authentication import identity
from services.web.api.idempotency import command_id
from services.web.api.problems import ProblemError, as_problem, unavailable
from services.web.components import components
from services.web.security.audit_trail import record_audit
from shared.contract.messages import Command
from shared.errors import InvalidInputError
from shared.reading.jobs import Job, get_job, kind_of
from shared.tracing.current import continuing
from shared.tracing.trace_context import Causation, read_traceparent

#: Seconds for which a request waits until a worker has taken or refused its command.
TAKEN_WITHIN_S = 2.0


def audit(action: str, **details: object) -> None:
    """Log and write down what a token changed, in the name of its owner."""
    token = identity()
    record_audit(action, token.owner, details, token=token.name)


def publish(command: Command, action: str, *, needs: Collection[str], **details: object) -> str:
    """Publish the command of the present request; returns its id.

    Raises:
        ProblemError: 503, the broker is away or no worker of a needed service listens; nothing was begun.
        BrokerAwayError: the broker did not confirm it.
    """
    require_services(needs)
    with _trace_of_request():
        published = components().publisher.command(command, command_id=command_id())
    audit(action, command_id=published, **details)
    return published


def publish_all(commands: Sequence[tuple[str, Command]], *, needs: Collection[str]) -> None:
    """Publish several commands of the present request, each with its id.

    Raises:
        ProblemError: 503, the broker is away or no worker of a needed service listens; nothing was begun.
        BrokerAwayError: the broker did not confirm one of them.
    """
    if commands:
        require_services(needs)
    with _trace_of_request():
        for published, command in commands:
            components().publisher.command(command, command_id=published)


def _trace_of_request() -> AbstractContextManager[None]:
    """Mark commands with the trace of the present request (W3C Trace Context, 3), if it has one."""
    context = read_traceparent(request.headers.get("traceparent"), request.headers.get("tracestate"))
    return nullcontext() if context is None else continuing(Causation(context))


def require_services(needs: Collection[str]) -> None:
    """Require the broker and a worker of each of these services.

    Raises:
        ProblemError: 503, the broker is away or no worker of a needed service listens.
    """
    status = components().service_status.current()
    if status.broker_away:
        raise unavailable("The message broker cannot be reached, so nothing was begun.")
    for service in sorted(needs):
        if service in status.unattended:
            raise unavailable(
                f"No {service} worker listens, so nothing was begun.", f"Start one: doseqr serve {service}"
            )


def taken(command: str, job_id: str, done: Callable[[Job | None], bool]) -> Job | None:
    """Wait until a worker has done its part with a job, or for two seconds; returns the job as it is then.

    Raises:
        ProblemError: the worker refused the command.
    """
    live = components().live
    stream = live.open((command, job_id))
    deadline = time.monotonic() + (TAKEN_WITHIN_S if stream is not None else 0.0)
    try:
        while True:
            refuse_rejected(command)
            job = read_job(job_id)
            left_s = deadline - time.monotonic()
            if done(job) or left_s <= 0 or stream is None:
                return job
            # An event may be lost: then the row is what tells.
            stream.wait(min(left_s, 0.25))
    finally:
        if stream is not None:
            live.end(stream)


def refuse_rejected(command: str) -> None:
    """Raise what a worker reported of a command that it refused.

    Raises:
        ProblemError: 422 with the field, or 409 where it is the job itself that does not allow it.
    """
    rejected = components().live.event_results.rejection(command)
    if rejected is None:
        return
    field = rejected.field.removeprefix("data.")
    if field in ("job_id", "query_id"):
        raise ProblemError(HTTPStatus.CONFLICT, rejected.problem)
    raise as_problem(InvalidInputError(field, rejected.problem))


def read_job(job_id: str) -> Job | None:
    """Return the job as its row is now."""
    with components().database.read() as session:
        return get_job(session, job_id)


def reference(job_id: str, kind: str, job: Job | None) -> dict[str, object]:
    """Return the short form of a job that a command is confirmed with."""
    if job is None:
        return {"id": job_id, "kind": kind, "status": "queued"}
    return {"id": job.id, "kind": kind_of(job), "status": job.status}
