"""What has to be confirmed before a query is sent."""

from __future__ import annotations

import re

import pytest

from tests.unit.web.pages.test_query import submit

WIDE = {"date_from": "1900-01-01", "date_until": "2024-05-01"}
MANY = {"date_from": "2010-01-01", "date_until": "2024-05-01"}


@pytest.mark.parametrize("dates", [WIDE, MANY, {"date_from": "1959-06-01", "date_until": "1959-06-01"}])
def test_a_mistyped_year_or_many_requests_have_to_be_confirmed(site, dates):
    # Given
    site.listen_all()
    # When
    response = submit(site, **dates)
    # Then
    assert response.status_code == 422
    assert 'name="confirmed"' in response.text
    assert f'value="{dates["date_from"]}"' in response.text
    assert site.commands == []


def test_the_number_of_requests_is_named(site):
    assert re.search(r"about [0-9]{3} C-FIND requests", submit(site, **MANY).text)
    assert "The year 1900 may be mistyped" in submit(site, **WIDE).text


def test_a_confirmed_query_is_published(site):
    # Given
    site.listen_all()
    key = re.search(r'name="confirmed" value="([^"]+)"', submit(site, **MANY).text)
    assert key is not None
    # When
    response = submit(site, **MANY, confirmed=key[1])
    # Then
    assert response.status_code == 302
    assert site.command()[1].criteria["date_from"] == "2010-01-01"


def test_a_confirmation_holds_for_its_criteria_only(site):
    # Given
    site.listen_all()
    key = re.search(r'name="confirmed" value="([^"]+)"', submit(site, **MANY).text)
    assert key is not None
    # When
    response = submit(site, **WIDE, confirmed=key[1])
    # Then
    assert response.status_code == 422
    assert site.commands == []


@pytest.mark.parametrize(
    "dates",
    [
        {},
        {"date_from": "2024-01-01", "date_until": "2024-05-01"},
        {"date_from": "", "date_until": ""},
        {"date_from": "", "date_until": "2024-05-01"},
        {"date_from": "", "date_until": "", "accession_numbers": "A1"},
    ],
)
def test_an_ordinary_query_is_published_without_confirmation(site, dates):
    # Given
    site.listen_all()
    # When
    response = submit(site, **dates)
    # Then
    assert response.status_code == 302
