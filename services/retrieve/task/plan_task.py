"""A plan task: from a page of the ledger to tasks that request it, and a task for the next page."""

from __future__ import annotations

from collections.abc import Sequence

from services.retrieve.context import RetrieveContext
from services.retrieve.ledger.expected import PlannedSeries, open_names, series_page
from services.retrieve.planning.moves import MoveCapabilities, SeriesPart, split_long
from services.retrieve.planning.payloads import SeriesKey, expect_tasks, move_tasks, plan_task
from shared.database.session import Session
from shared.jobs.model import Claim, Result
from shared.jobs.new_task import NewTask

#: Series of one page.
PAGE_SERIES = 500


def plan(session: Session, context: RetrieveContext, claim: Claim, page_series: int = PAGE_SERIES) -> Result:
    """Plan the series after the one that the task names."""
    after = claim.payload["after"]
    page = series_page(session, context.job_id, tuple(after) if after else None, page_series)
    tasks = _tasks(session, context.job_id, page, context.capabilities)
    if len(page) == page_series:
        tasks.append(plan_task(page[-1].key))
    return Result(write=lambda _session: tasks)


def _tasks(
    session: Session, job_id: str, page: Sequence[PlannedSeries], capabilities: MoveCapabilities
) -> list[NewTask]:
    unlisted: list[SeriesKey] = [series.key for series in page if not series.named]
    whole = {series.key: series.whole for series in page if series.named}
    names = open_names(session, job_id, list(whole))
    parts = [SeriesPart(*key, tuple(uids), whole=whole[key]) for key, uids in names.items()]
    return [*expect_tasks(unlisted), *move_tasks(split_long(parts, capabilities))]
