"""Who may do what; tokens of forms; headers of every response."""

from __future__ import annotations

import re

import pytest

from tests.support.jobs.rows import a_query, a_study


def test_a_refusal_names_the_role_as_its_reason(site):
    assert "Your role does not include this page." in site.person("viewer").get("/users").text


@pytest.mark.parametrize("address", ["/users", "/login", "/logout", "/password"])
def test_a_form_without_its_token_does_nothing(site, address):
    # When
    response = site.person("admin").client.post(address)
    # Then
    assert response.status_code == 400
    assert "nothing was done" in response.text


def test_the_menu_to_query_is_there_only_for_those_who_may(site):
    assert "Query remote server" not in site.person("viewer").text("/jobs")
    assert "Query remote server" in site.person("importer").text("/jobs")


def test_the_own_account_cannot_be_taken_away(site):
    # Given
    person = site.person("admin")
    # When
    response = person.post("/users/3/disable")
    # Then
    assert response.status_code == 403


@pytest.mark.parametrize("address", ["/login", "/static/live.js", "/nowhere", "/health/live"])
def test_every_response_carries_the_security_headers(site, address):
    # When
    response = site.person().get(address)
    headers = response.headers
    response.close()
    # Then
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe-inline" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("address", ["/imports/query", "/jobs", "/jobs/query-1", "/nodes", "/users"])
def test_pages_need_nothing_inline_and_nothing_from_elsewhere(site, address):
    # Given
    site.add(a_query(), a_study("1.2"))
    # When
    page = site.person("admin").text(address)
    # Then
    assert " style=" not in page
    assert "<style" not in page
    assert " onclick=" not in page
    # A command that is shown may hold an address; what the browser follows or loads may not.
    assert re.findall(r"""\b(?:src|href|action|data-live)\s*=\s*["']?(?:https?:|//)""", page) == []


def test_an_unknown_address_gives_a_readable_page(site):
    # When
    response = site.person("viewer").get("/nowhere")
    # Then
    assert response.status_code == 404
    assert "There is nothing at this address." in response.text


def test_a_defect_gives_a_readable_page_and_no_text_of_the_error_in_the_log(site, capsys):
    # Given: a text that does not stand in the source, which the log shows
    components = ["SECRET", "PATIENT"]

    def broken() -> str:
        raise ValueError(chr(94).join(components))

    site.app.view_functions["jobs.listing"] = broken
    # When
    response = site.person("viewer").get("/jobs")
    # Then
    assert response.status_code == 500
    assert "An error of DoseQR itself" in response.text
    captured = capsys.readouterr()
    assert "SECRET^PATIENT" not in response.text + captured.out + captured.err
