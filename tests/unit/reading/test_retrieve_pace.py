"""The rate is that of the last half minute, and no time is given once only the rest is waited for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from shared.database.models import Retrieve, RetrieveTask
from shared.reading.retrieve_json import retrieve_counts
from shared.reading.retrieve_pace import pace_of
from tests.support.jobs.rows import NOW, a_query, a_retrieve, an_expected


@pytest.fixture
def retrieve(session: Session) -> Retrieve:
    """A retrieve that began ten minutes ago, with 30 objects arrived early and 6 to come."""
    session.add(a_query())
    session.flush()
    job = a_retrieve(status="running", started_at=NOW - timedelta(minutes=10))
    session.add(job)
    session.flush()
    early = NOW - timedelta(minutes=9)
    session.add_all(an_expected("1", "1.1", f"1.1.{n}", state="arrived", arrived_at=early) for n in range(30))
    session.add_all(an_expected("1", "1.2", f"1.2.{n}", state="expected") for n in range(6))
    session.flush()
    return job


def a_task(kind: str, **payload: Any) -> RetrieveTask:
    return RetrieveTask(
        job_id="retrieve-1", kind=kind, state="queued", payload=payload, created_at=NOW, due_at=NOW
    )


def arrived(session: Session, number: int) -> None:
    at = NOW - timedelta(seconds=10)
    session.add_all(
        an_expected("1", "1.3", f"1.3.{n}", state="arrived", arrived_at=at) for n in range(number)
    )
    session.flush()


def test_the_rate_is_that_of_the_last_half_minute(session: Session, retrieve: Retrieve) -> None:
    # Given
    arrived(session, 3)
    session.add(a_task("move", round=1))
    # When
    pace = pace_of(session, retrieve, NOW)
    # Then
    assert pace is not None
    assert (pace.per_s, pace.left_s) == (0.1, 60.0)
    assert str(pace) == "6.0 objects a minute, about 2 min left"


@pytest.mark.parametrize("task", [a_task("await"), a_task("move", round=2), a_task("commit")])
def test_no_time_is_shown_when_only_the_rest_is_waited_for(
    session: Session, retrieve: Retrieve, task: RetrieveTask
) -> None:
    # Given
    arrived(session, 3)
    session.add(a_task(task.kind, **task.payload))
    # When / Then
    assert str(pace_of(session, retrieve, NOW)) == "waiting for the rest"


def test_nothing_is_published_while_nothing_arrives(session: Session, retrieve: Retrieve) -> None:
    # Given
    session.add(a_task("move", round=1))
    # When / Then
    assert str(pace_of(session, retrieve, NOW)) == ""


def test_series_of_unknown_size_make_the_number_a_lower_bound(session: Session, retrieve: Retrieve) -> None:
    # Given
    session.add(an_expected("1", "1.4", "", state="expected", announced=None))
    session.add(an_expected("1", "1.5", "", state="expected", announced=7))
    session.flush()
    # When / Then
    assert retrieve_counts(session, retrieve)["uncounted_series"] == 1
