"""Charts of a query: bars drawn by the server, and the same numbers as a table."""

from __future__ import annotations

from tests.support.jobs.rows import a_find, a_query, a_study


def test_charts_show_days_reasons_and_response_times(site):
    # Given
    site.add(
        a_query("q1"),
        a_study("1.1", "q1", study_date="20240501"),
        a_study("1.2", "q1", study_date="20240502", type="MG", decision="drop", reason="known"),
        a_find(1, "q1", level="STUDY", duration_ms=1234),
    )
    # When
    page = site.person("viewer").text("/jobs/q1/charts")
    # Then
    assert "<title>2024-05-01, CT: 1</title>" in page
    assert '<th scope="row">2024-05-02</th>' in page
    assert "reason=known&amp;decision=drop" in page
    assert "1\N{NARROW NO-BREAK SPACE}234 ms" in page
    assert "style=" not in page.split("<main")[1]


def test_a_query_without_studies_has_empty_charts(site):
    # Given
    site.add(a_query("q1"))
    # When
    page = site.person("viewer").text("/jobs/q1/charts")
    # Then
    assert "No studies." in page
    assert "No request yet." in page
