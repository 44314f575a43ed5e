"""The trace of a job on the page: its jobs, its tasks below each other, their requests, page by page."""

from __future__ import annotations

import re

import pytest

from shared.contract.reasons import sentence
from tests.support.jobs.rows import a_find, a_query, a_retrieve, a_study, a_task, an_expected


@pytest.fixture
def viewer(site):
    """A viewer of a query with a split slice, and of a retrieve of it."""
    site.add(a_query("q1"), a_study("1.1", "q1"), a_retrieve("r1", "q1"))
    with site.database.write() as session:
        first = a_task("q1", state="done")
        session.add(first)
        session.flush()
        session.add(a_task("q1", state="failed", parent_id=first.id, error="timed_out"))
        session.add(a_find(first.id, "q1", matches=7))
        session.add_all(a_task("q1", state="done") for _ in range(110))
        session.add(an_expected("1.1", "1.1.1", "1.1.1.1", "r1"))
    return site.person("viewer")


def test_a_trace_shows_jobs_tasks_and_requests(viewer):
    # When
    page = viewer.text("/jobs/q1/trace")
    # Then
    assert 'href="/jobs/r1"' in page
    assert "7 matches" in page
    assert sentence("timed_out", node="pacs") in page or sentence("timed_out") in page
    assert re.search(r"<ul>\s*<li><strong>2</strong>", page), "the second task stands below the first"


def test_every_task_of_a_trace_can_be_reached(viewer):
    # When
    first = viewer.text("/jobs/q1/trace")
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    second = viewer.text(following[1])
    # Then
    assert (first + second).count("<code>slice</code>") == 112


@pytest.mark.parametrize(
    "address", ["/jobs/nothing/trace", "/jobs/q1/trace?after=x", "/jobs/q1/trace?after=99999999999999999999"]
)
def test_what_is_no_trace_is_not_found(viewer, address):
    assert viewer.get(address).status_code == 404


def test_a_job_links_to_its_trace(viewer):
    assert "/jobs/q1/trace" in viewer.text("/jobs/q1")
