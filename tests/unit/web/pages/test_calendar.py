"""The calendar page: a table that everybody reads, and links that fill a hole for those who may query."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.support.jobs.rows import a_query, a_study, a_task

ADDRESS = "/calendar?node=pacs&month=2024-04"


@pytest.fixture
def searched(site):
    """The second of April was searched, the third only in part."""
    criteria = {"types": ["CT"], "date_from": "2024-04-02", "date_until": "2024-04-03"}
    days = {"days_from": dt.date(2024, 4, 2), "days_until": dt.date(2024, 4, 3)}
    site.add(
        a_query("q1", status="incomplete", criteria=criteria, **days),
        a_study("1.2", "q1", study_date="20240402"),
        a_task("q1", payload={"date_from": "2024-04-03", "date_until": "2024-04-03"}),
    )
    return site


def test_each_day_has_its_state_in_words(searched):
    # When
    text = searched.person("viewer").text(ADDRESS)
    # Then
    assert "CT, Tuesday 02 April: complete, 1 study" in text
    assert "CT, Wednesday 03 April: holes" in text
    assert "Mammography, Tuesday 02 April: not asked" in text
    assert "April 2024" in text


def test_a_hole_opens_the_form_of_its_day(searched):
    # Given
    importer = searched.person("importer")
    address = "/imports/query?remote=1&amp;types=CT&amp;date_from=2024-04-03&amp;date_until=2024-04-03"
    # When
    text = importer.text(ADDRESS)
    form = importer.text(address.replace("&amp;", "&"))
    # Then
    assert f'href="{address}"' in text
    assert "date_until=2024-04-02" not in text.replace("types=MG", "").split("CT</th>")[1].split("</tr>")[0]
    assert form.count('value="2024-04-03"') == 2
    assert 'checked class="form-check-input" id="types-0"' in form or 'id="types-0"' in form


def test_a_viewer_gets_no_link_to_the_form(searched):
    assert "/imports/query" not in searched.person("viewer").text(ADDRESS)


@pytest.mark.parametrize("query", ["month=x", "node=none", "type=XX"])
def test_a_wrong_address_shows_this_month_and_what_was_wrong(site, query):
    # Given
    viewer = site.person("viewer")
    # When
    response = viewer.get(f"/calendar?{query}", follow_redirects=True)
    # Then
    assert response.status_code == 200
    assert 'role="alert"' in response.text
