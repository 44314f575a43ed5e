"""Log-in, passwords, sessions."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from werkzeug.http import parse_cookie

from shared.clock import utc_now
from shared.database.models import User
from shared.users.accounts import create_user, find_user, set_password
from tests.support.services.web import PASSWORD


def test_a_page_leads_to_the_log_in_and_back(site):
    # Given
    person = site.person()
    # When
    first = person.get("/jobs?kind=query")
    then = person.client.post(
        first.location, data={"csrf_token": person.token(), "name": "viewer", "password": PASSWORD}
    )
    # Then
    assert first.status_code == 302
    assert then.location == "/jobs?kind=query"


@pytest.mark.parametrize("address", ["https://evil.example/", "//evil.example/", "/\\evil.example", "evil"])
def test_a_log_in_leads_to_no_other_site(site, address):
    # Given
    person = site.person()
    # When
    response = person.post("/login", {"name": "viewer", "password": PASSWORD}, query_string={"next": address})
    # Then
    assert response.location == "/"


def test_a_wrong_password_is_refused_with_a_reason(site):
    # When
    response = site.person().log_in("viewer", "wrong password")
    # Then
    assert response.status_code == 422
    assert "User name or password is wrong." in response.text


def test_failed_log_ins_are_limited(site):
    # Given
    person = site.person()
    for _ in range(10):
        assert person.log_in("viewer", "wrong password").status_code == 422
    # When
    response = person.log_in("viewer")
    # Then
    assert response.status_code == 429
    assert re.search(r"Wait (29|30|31) s, then try again", response.text)


def test_successful_log_ins_are_not_limited(site):
    for _ in range(12):
        assert site.person().log_in("viewer").status_code == 302


def test_the_session_cookie_is_for_this_site_and_no_script(site):
    # When
    cookie = site.person().log_in("viewer").headers["Set-Cookie"]
    # Then
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie


def test_a_one_time_password_has_to_be_changed_first(site):
    # Given
    with site.database.write() as session:
        create_user(session, "new", "admin", "one-time-password", utc_now(), must_change_password=True)
    person = site.person()
    person.log_in("new", "one-time-password")
    # When
    refused = person.get("/nodes")
    changed = person.post(
        "/password",
        {"current": "one-time-password", "password": "my own password", "again": "my own password"},
    )
    # Then
    assert refused.location == "/password"
    assert changed.status_code == 302
    assert person.get("/nodes").status_code == 200


@pytest.mark.parametrize(
    ("current", "password", "again", "problem"),
    [
        ("wrong", "another password", "another password", "This is not the present password."),
        (PASSWORD, "another password", "other", "This is not the same as the new password."),
        (PASSWORD, "short", "short", "Must have 12 to 256 characters."),
        (PASSWORD, PASSWORD, PASSWORD, "must differ"),
    ],
)
def test_a_password_is_changed_only_to_a_good_one(site, current, password, again, problem):
    # When
    response = site.person("viewer").post(
        "/password", {"current": current, "password": password, "again": again}
    )
    # Then
    assert response.status_code == 422
    assert problem in response.text


def test_a_changed_password_ends_other_sessions(site):
    # Given
    person = site.person("viewer")
    # When
    with site.database.write() as session:
        set_password(session, find_user(session, "viewer"), "quite another password", utc_now())
    # Then
    assert person.get("/jobs").status_code == 302


def test_a_disabled_user_is_out_at_once(site):
    # Given
    person = site.person("viewer")
    # When
    with site.database.write() as session:
        find_user(session, "viewer").disabled_at = utc_now()
    # Then
    assert person.get("/jobs").status_code == 302


def test_a_new_role_counts_at_once(site):
    # Given
    person = site.person("importer")
    # When
    with site.database.write() as session:
        session.get(User, find_user(session, "importer").id).role = "viewer"
    # Then
    assert person.get("/imports/query").status_code == 403


def test_logging_out_ends_the_session(site):
    # Given
    person = site.person("viewer")
    # When
    person.post("/logout")
    # Then
    assert person.get("/jobs").status_code == 302


def test_a_session_ends_after_eight_idle_hours(site):
    assert site.app.permanent_session_lifetime == timedelta(hours=8)


def test_polls_of_an_open_page_keep_no_session_alive(site):
    # Given
    person = site.person("importer")
    person.text("/nodes")
    # When
    by_itself = person.get("/nodes/status")
    response = person.get("/nodes")
    # Then
    assert "Set-Cookie" not in by_itself.headers
    assert "doseqr_session" in parse_cookie(response.headers["Set-Cookie"])


def test_polls_of_an_open_page_lead_to_no_log_in(site):
    assert site.person().get("/nodes/status").status_code == 401
