"""A study whose date the PACS changes during a query, into days that were searched before."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from services.query.completion import LONG_SEARCH, next_tasks_or_ending
from shared.database.models import Query
from shared.database.session import Database
from shared.jobs.model import Ending
from shared.jobs.new_task import NewTask
from shared.querying.payloads import WindowSlice, read_slice, to_json
from shared.querying.profile import Profile
from shared.querying.slices import Slice
from tests.support.jobs.rows import NOW, a_query, a_task

TODAY = NOW.date()
OLD = Slice(TODAY - dt.timedelta(days=30), TODAY - dt.timedelta(days=7), code="CT")
NEW = Slice(TODAY - dt.timedelta(days=6), TODAY, code="CT")
CRITERIA = {"types": ["CT"], "date_from": str(OLD.date_from), "date_until": str(TODAY)}


def after(database: Database, took: dt.timedelta, **columns: Any) -> list[WindowSlice] | Ending:
    """Return what follows a search whose newest window was complete so long before its oldest one."""
    with database.write() as session:
        defaults: dict[str, Any] = {"status": "running", "criteria": CRITERIA, "slices_complete": 2}
        session.add(a_query(**(defaults | columns)))
        session.flush()
        for window, ended in ((NEW, NOW), (OLD, NOW + took)):
            session.add(a_task(state="done", payload=to_json(WindowSlice(window)), ended_at=ended))
    return drained(database)


def drained(database: Database) -> list[WindowSlice] | Ending:
    with database.write() as session:
        following = next_tasks_or_ending(session, "query-1", Profile())
        if isinstance(following, Ending):
            return following
        session.add_all(a_task(state="done", payload=task.payload, ended_at=NOW) for task in following)
        return windows_of(following)


def windows_of(tasks: Any) -> list[WindowSlice]:
    parts = [read_slice(task.payload) for task in tasks if isinstance(task, NewTask)]
    return [part for part in parts if isinstance(part, WindowSlice)]


def test_the_newest_days_are_searched_again_after_a_long_search(database: Database):
    # When
    following = after(database, LONG_SEARCH)
    # Then
    assert following == [WindowSlice(NEW, late=True)]
    with database.read() as session:
        assert session.get_one(Query, "query-1").slices_total == 1
    assert drained(database) == Ending("completed")


@pytest.mark.parametrize(
    ("took", "columns"),
    [
        (LONG_SEARCH - dt.timedelta(seconds=1), {}),
        (LONG_SEARCH, {"criteria": {"types": ["CT"], "study_instance_uids": ["1.2.3"]}}),
        (
            LONG_SEARCH,
            {"criteria": {**CRITERIA, "date_ranges": [{"date_from": str(TODAY), "date_until": str(TODAY)}]}},
        ),
    ],
    ids=["a short search", "named studies", "parts of days"],
)
def test_a_query_ends_without_a_second_search(
    database: Database, took: dt.timedelta, columns: dict[str, Any]
):
    assert after(database, took, **columns) == Ending("completed")
