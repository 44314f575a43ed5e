"""What open pages poll: the same each time while nothing changes, and never a sentence that is not true."""

from __future__ import annotations

import pytest

from tests.support.jobs.rows import NOW, a_query, a_retrieve, a_series, a_study


@pytest.mark.parametrize("part", ["fragment", "fragment?back=job", "about", "results"])
def test_a_fragment_is_the_same_while_nothing_changes(site, part):
    # Given
    site.add(a_query("q1", studies_kept=1), a_study("1.2", "q1"), a_retrieve("r1", "q1", status="incomplete"))
    person = site.person("importer")
    # When: the tokens of two responses would differ
    for job_id in ("q1", "r1"):
        first, second = (person.text(f"/jobs/{job_id}/{part}") for _ in range(2))
        # Then
        assert first == second


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("completed", "the PACS returned no study for these criteria"),
        ("cancelled", "Nothing was found before it ended: 0 of 45 slices had a complete response."),
        ("incomplete", "Nothing was found before it ended: 0 of 45 slices had a complete response."),
    ],
)
def test_only_a_completed_query_proves_that_there_is_no_study(site, status, sentence):
    # Given
    site.add(a_query("q1", status=status, slices_total=45, slices_complete=0))
    # When
    page = site.person("viewer").text("/jobs/q1/fragment")
    # Then
    assert sentence in page
    assert ("returned no study" in page) == (status == "completed")


def test_no_sentence_of_a_missing_study_has_a_blank_left(site):
    # Given
    reasons = ("fewer_series_than_announced", "fewer_objects_than_announced")
    site.add(
        a_query("q1", status="incomplete", studies_missing=2),
        *(
            a_study(f"1.{number}", "q1", state="missing", decision="", reason=reason, detail="5 of 7.")
            for number, reason in enumerate(reasons)
        ),
    )
    # When
    page = site.person("viewer").text("/jobs/q1/about")
    # Then
    assert "The PACS returned fewer series than it announces for the study. 5 of 7." in page
    assert "{" not in page.split('id="missing"')[1]
    assert "…" not in page


def test_what_the_pacs_reports_as_sent_is_a_second_bar(site):
    # Given
    site.add(
        a_query("q1"),
        a_retrieve(
            "r1", "q1", status="running", asked=10, arrived=2, reported_completed=7, reported_warning=1
        ),
    )
    # When
    page = site.person("viewer").text("/jobs/r1/fragment")
    # Then
    assert 'id="sent-r1" max="10" value="8"' in page
    assert 'id="arrived-r1" max="10" value="2"' in page


def test_objects_of_series_without_a_count_are_at_least_so_many(site):
    # Given
    site.add(
        a_query("q1", studies_kept=1, objects_kept=233),
        a_study("1.2", "q1"),
        a_series("1.2", "1.2.1", "q1", whole=True, instance_count=None),
    )
    # When
    page = site.person("viewer").text("/jobs/q1/fragment")
    # Then
    assert "at least</span> 233" in page


def test_a_repeated_retrieve_is_called_a_retrieve_at_once(site):
    # Given
    site.listen("retrieve")
    site.add(a_query("q1"), a_study("1.2", "q1"), a_retrieve("r1", "q1", status="incomplete", asked=2))
    # When
    page = site.person("importer").post("/jobs/r1/again", {"back": "job"}, follow_redirects=True).text
    # Then
    assert '<h1 class="h3 mb-1">Retrieve</h1>' in page
    assert "<title>… Retrieve queued" in page


def test_the_details_of_a_job_are_polled(site):
    # Given
    site.add(a_query("q1", status="running", finds=3))
    person = site.person("viewer")
    before = person.text("/jobs/q1/about")
    # When
    with site.database.write() as session:
        query = session.get(type(a_query()), "q1")
        query.finds, query.status, query.ended_at = 44, "completed", NOW
    site.add(a_retrieve("r1", "q1"))
    after = person.text("/jobs/q1/about")
    # Then
    assert "/jobs/r1" not in before
    assert "<dd>44</dd>" in after
    assert "/jobs/r1" in after
    assert 'data-live="/jobs/q1/about"' in person.text("/jobs/q1")


def test_the_list_of_jobs_is_polled(site):
    # Given
    person = site.person("viewer")
    page = person.text("/jobs?kind=query")
    # When
    site.add(a_query("q1", status="running"), a_retrieve("r1", "q1"))
    rows = person.text("/jobs/rows?kind=query&page=1")
    # Then
    assert 'data-live="/jobs/rows?kind=query"' in page
    assert "/jobs/q1" in rows
    assert "/jobs/r1" not in rows
    assert 'data-follow="q1" data-every="3"' in rows
    assert "<html" not in rows


@pytest.mark.parametrize(
    ("status", "text"), [("completed", "Complete: 100 %"), ("cancelled", "Ended at 20 %")]
)
def test_only_a_completed_query_fills_its_bar(site, status, text):
    # Given
    site.add(
        a_query("q1", status=status, slices_total=10, slices_complete=5, studies_found=3, studies_examined=0)
    )
    # When / Then
    assert text in site.person("viewer").text("/jobs/q1/fragment")
