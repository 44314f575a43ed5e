"""Finding and listing jobs of either kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.contract.envelope import valid_id
from shared.database.models.query import Query
from shared.database.models.retrieve import Retrieve
from shared.errors import InvalidInputError, NotFoundError
from shared.reading.job_json import ListedJob, summary

Job = Query | Retrieve
JobKind = Literal["query", "retrieve"]
J = TypeVar("J", Query, Retrieve)

#: A shorter beginning of an id is more likely a slip than a choice.
PREFIX_MIN_LENGTH = 4


class UnknownJobError(InvalidInputError, NotFoundError):
    """No job, or more than one, is meant by this id."""


def kind_of(job: Job) -> JobKind:
    """Return "query" or "retrieve"."""
    return "query" if isinstance(job, Query) else "retrieve"


def get_job(session: Session, job_id: str) -> Job | None:
    """Return the job with exactly this id."""
    return session.get(Query, job_id) or session.get(Retrieve, job_id)


def find_job(session: Session, prefix: str, kind: JobKind | None = None, field: str = "job") -> Job:
    """Return the job with this id, or the only one whose id begins so (at least 4 characters).

    A query is meant rather than the retrieves whose ids are made of its own.

    Raises:
        UnknownJobError: there is none, or several; names `field`.
    """
    text = prefix.strip()
    if not valid_id(text):
        raise UnknownJobError(field, "must be the id of a job: letters, digits, - and _, at most 64")
    exact = get_job(session, text)
    if exact is not None and kind in (None, kind_of(exact)):
        return exact
    if len(text) < PREFIX_MIN_LENGTH:
        raise UnknownJobError(field, f"give at least {PREFIX_MIN_LENGTH} characters of the id of a job")
    found: list[Job] = []
    if kind in (None, "query"):
        found.extend(_beginning_with(session, Query, text))
    if kind in (None, "retrieve"):
        found.extend(_beginning_with(session, Retrieve, text))
    found.sort(key=lambda job: len(job.id))
    if not found:
        raise UnknownJobError(field, f"there is no {kind or 'job'} whose id begins with {text}")
    if not all(job.id.startswith(found[0].id) for job in found):
        raise UnknownJobError(field, f"several jobs have an id that begins with {text}; give more of it")
    return found[0]


def _beginning_with(session: Session, model: type[J], text: str) -> Sequence[J]:
    several = 50
    statement = select(model).where(model.id.startswith(text, autoescape=True)).limit(several)
    return [job for job in session.scalars(statement) if job.id.startswith(text)]


def list_jobs(
    session: Session,
    limit: int = 50,
    *,
    kind: JobKind | None = None,
    statuses: Sequence[str] = (),
    offset: int = 0,
) -> list[ListedJob]:
    """Return summaries of jobs, the newest first."""
    jobs: list[Job] = []
    if kind in (None, "query"):
        jobs.extend(_newest(session, Query, statuses, limit + offset))
    if kind in (None, "retrieve"):
        jobs.extend(_newest(session, Retrieve, statuses, limit + offset))
    jobs.sort(key=lambda job: (job.requested_at, job.id), reverse=True)
    return [summary(job) for job in jobs[offset : offset + limit]]


def _newest(session: Session, model: type[J], statuses: Sequence[str], limit: int) -> Sequence[J]:
    statement = select(model).order_by(model.requested_at.desc(), model.id.desc()).limit(limit)
    if statuses:
        statement = statement.where(model.status.in_(statuses))
    return session.scalars(statement).all()


def count_jobs(session: Session) -> int:
    """Return how many jobs there are."""
    queries = session.scalar(select(func.count()).select_from(Query)) or 0
    return queries + (session.scalar(select(func.count()).select_from(Retrieve)) or 0)
