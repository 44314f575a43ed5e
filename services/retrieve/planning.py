"""A plan task: from a page of the ledger to tasks that ask for it, and a task for the next page."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from services.retrieve.expected import PlannedSeries, open_names, series_page
from services.retrieve.facts import Facts
from services.retrieve.moves import Share
from services.retrieve.payloads import SeriesKey, expect_tasks, move_tasks, plan_task
from shared.jobs.model import Claim, NewTask, Result

#: Series of one page.
PAGE_SERIES = 500


def plan(session: Session, facts: Facts, claim: Claim, page_series: int = PAGE_SERIES) -> Result:
    """Plan the series behind the one that the task names."""
    after = claim.payload["after"]
    page = series_page(session, facts.job_id, tuple(after) if after else None, page_series)
    tasks = _tasks(session, facts.job_id, page)
    if len(page) == page_series:
        tasks.append(plan_task(page[-1].key))
    return Result(write=lambda _session: tasks)


def _tasks(session: Session, job_id: str, page: Sequence[PlannedSeries]) -> list[NewTask]:
    to_name: list[SeriesKey] = [one.key for one in page if not one.named]
    shares = [_share(session, job_id, one) for one in page if one.named]
    return [*expect_tasks(to_name), *move_tasks(shares)]


def _share(session: Session, job_id: str, one: PlannedSeries) -> Share:
    return Share(*one.key, tuple(open_names(session, job_id, one.key)), whole=one.whole)
