"""A job of either kind as lists show it, and what the JSON of every job holds (spec section 9)."""

from __future__ import annotations

from typing import Literal, TypedDict, cast

from shared.clock import iso
from shared.contract.messages import JobStatus
from shared.contract.results import JobLife
from shared.database.models.query import Query
from shared.database.models.retrieve import Retrieve


class QuerySummaryCounts(TypedDict):
    """Studies of a query, and objects to retrieve."""

    found: int
    examined: int
    kept: int
    objects: int


class QuerySummary(JobLife):
    """A query as lists show it."""

    id: str
    kind: Literal["query"]
    counts: QuerySummaryCounts


class RetrieveSummaryCounts(TypedDict):
    """Objects of a retrieve."""

    asked: int
    arrived: int


class RetrieveSummary(JobLife):
    """A retrieve as lists show it."""

    id: str
    kind: Literal["retrieve"]
    query: str
    counts: RetrieveSummaryCounts


ListedJob = QuerySummary | RetrieveSummary


def summary(job: Query | Retrieve) -> ListedJob:
    """Return a job in a few words: what lists show of it."""
    if isinstance(job, Retrieve):
        return {
            "id": job.id,
            "kind": "retrieve",
            "query": job.query_id,
            **life(job),
            "counts": {"asked": job.asked, "arrived": job.arrived},
        }
    return {
        "id": job.id,
        "kind": "query",
        **life(job),
        "counts": {
            "found": job.studies_found,
            "examined": job.studies_examined,
            "kept": job.studies_kept,
            "objects": job.objects_kept,
        },
    }


def life(job: Query | Retrieve) -> JobLife:
    """Return what the summary of every job holds."""
    pause, raised, is_held = job.pause, job.priority_raise, job.held_since is not None
    return {
        # The engine writes no other status.
        "status": cast("JobStatus", job.status),
        "remote": job.remote_name,
        "store": job.store_name,
        "requested_by": job.requested_by,
        "requested_at": iso(job.requested_at),
        "started_at": iso(job.started_at),
        "ended_at": iso(job.ended_at),
        "failure": job.failure,
        "detail": job.detail,
        "note": job.hold_note or job.note,
        # No time limit runs while it is held.
        "next_try_at": None if is_held else iso(job.next_try_at),
        "gives_up_at": None if is_held else iso(job.gives_up_at),
        "paused": pause is not None,
        "paused_by": pause.by if pause is not None else "",
        "paused_at": pause.since if pause is not None else None,
        "priority": job.priority,
        "raised": raised is not None,
        "raised_by": raised.by if raised is not None else "",
        "raised_at": raised.since if raised is not None else None,
        "round": job.round,
    }
