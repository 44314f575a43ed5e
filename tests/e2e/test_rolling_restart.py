"""Workers that are restarted one after another in the middle of a job lose no task."""

from __future__ import annotations

from sqlalchemy import func, select

from shared.database.models import QueryTask
from tests.e2e.archive import mixed_archive
from tests.e2e.slow import ONE_BY_ONE, as_undisturbed, begin_slow_query


def test_workers_restarted_in_turn_lose_no_task(installation, serving, scripted_pacs):
    # Given
    pacs = scripted_pacs(mixed_archive(60), **ONE_BY_ONE)
    workers, observer = serving("query", "query")
    observer.add_pacs(pacs)
    job_id = begin_slow_query(observer, pacs)
    # When each of them is replaced while it has a task in hand
    for worker in workers:
        observer.task_in_progress_of("query", worker)
        assert worker.terminate() == 0
        installation.serve("query")
        observer.wait_for_consumers("query", 2)
    # Then
    assert observer.status(job_id) == "running"
    as_undisturbed(observer, pacs, job_id)
    with observer.database.read() as session:
        failed = select(func.count()).where(QueryTask.job_id == job_id, QueryTask.failures > 0)
        assert session.scalar(failed) == 0
