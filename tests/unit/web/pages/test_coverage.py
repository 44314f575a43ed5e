"""The coverage page: alerts, numbers, and the studies behind each."""

from __future__ import annotations

import pytest

from tests.support.jobs.rows import a_query, a_series, a_study

DAYS = "from=2024-04-01&until=2024-04-30"


@pytest.fixture
def stopped(site):
    """A station with a report in each of six studies, and in none of the five after them."""
    site.add(a_query("q1"))
    for number in range(11):
        uid = f"1.{number}"
        reason = {} if number < 6 else {"decision": "drop", "reason": "no_dose_object"}
        site.add(
            a_study(uid, "q1", study_date=f"202404{number + 1:02}", accession_number=f"A{number}", **reason)
        )
        site.add(a_series(uid, f"{uid}.1", "q1", modality="CT", station_name="CT <1>"))
    return site


def test_a_station_that_stopped_is_named_with_its_date(stopped):
    # When
    text = stopped.person("viewer").text(f"/coverage?node=pacs&{DAYS}")
    # Then
    assert "CT &lt;1&gt;, CT:</strong> No dose report since 2024-04-07, in 5 studies in a row." in text


def test_a_bar_is_as_wide_as_the_share_of_each_source(stopped):
    # When
    text = stopped.person("viewer").text(f"/coverage?node=pacs&{DAYS}")
    # Then
    assert 'class="share-report" x="0.0" width="65.45"' in text
    assert 'class="share-none" x="65.45" width="54.55"' in text


def test_each_number_opens_its_studies(stopped):
    # Given
    viewer = stopped.person("viewer")
    address = f"/coverage/studies?node=pacs&station=CT+<1>&type=CT&source=none&{DAYS}"
    # When
    text = viewer.text(address)
    # Then
    assert "5 studies" in text
    assert ">A10<" in text
    assert ">A5<" not in text
    assert 'href="/jobs/q1/studies/1.10"' in text
    assert "source=none" in viewer.text(f"/coverage?node=pacs&{DAYS}")


@pytest.mark.parametrize("page", ["/coverage", "/coverage/studies"])
@pytest.mark.parametrize("query", ["from=x", "node=none", "from=2024-05-02&until=2024-05-01"])
def test_a_wrong_address_leads_back_to_the_default(site, page, query):
    # When
    response = site.person("viewer").get(f"{page}?{query}", follow_redirects=True)
    # Then
    assert response.status_code == 200
    assert 'role="alert"' in response.text
