"""Counts of a query are read once for all who look at it, and never stay behind an ended query."""

from __future__ import annotations

import pytest

from services.web.live.job_counts import JobCounts
from shared.database.models import Query
from tests.support.jobs.rows import a_query, a_study
from tests.support.services.web import statements


@pytest.mark.parametrize(
    ("status", "seconds", "moves_on", "reads"),
    [
        ("completed", 0.1, False, False),
        ("completed", 3600.0, False, False),
        ("completed", 0.1, True, True),
        ("running", 0.1, True, False),
        ("running", 1.5, True, True),
        ("running", 1.5, False, False),
    ],
)
def test_counts_are_read_again_once_the_query_moves_on(site, status, seconds, moves_on, reads):
    # Given
    now_s = [100.0]
    counts = JobCounts(lambda: now_s[0])
    site.add(a_query("q1", status=status, studies_kept=1), a_study("1.1", "q1"))
    with site.database.write() as session:
        job = session.get_one(Query, "q1")
        before = counts.of(session, job)
        # When
        now_s[0] += seconds
        job.studies_kept += moves_on
        session.flush()
        with statements(site.database) as sent:
            after = counts.of(session, job)
    # Then
    assert before.by_type == after.by_type == {"CT": 1}
    assert bool(sent) == reads
