"""Sessions end on the server: a copy of the cookie is worth nothing afterwards."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from services.web.app import create_app
from services.web.security.sessions import ABSOLUTE, IDLE
from shared.clock import utc_now
from shared.users.accounts import find_user, set_password
from tests.support.services.web import PASSWORD, Person, Site

COOKIE = "doseqr_session"


def copied(site: Site, person: Person) -> Person:
    """Return somebody with a copy of a person's cookie."""
    cookie = person.client.get_cookie(COOKIE)
    assert cookie is not None
    other = site.person()
    other.client.set_cookie(COOKIE, cookie.value)
    assert other.get("/jobs").status_code == 200
    return other


def test_a_copied_cookie_ends_with_the_log_out(site):
    # Given
    person = site.person("viewer")
    thief = copied(site, person)
    # When
    person.post("/logout")
    # Then
    assert thief.get("/jobs").status_code == 302


@pytest.mark.parametrize(
    "actions",
    [("disable", "enable"), ("role",), ("password",)],
    ids=["disabled and enabled", "another role", "another password"],
)
def test_an_administrator_ends_the_sessions_of_a_user(site, actions):
    # Given
    person = site.person("viewer")
    admin = site.person("admin")
    # When
    for action in actions:
        assert admin.post(f"/users/1/{action}", {"role": "importer"}).status_code in (200, 302)
    # Then
    assert person.get("/jobs").status_code == 302


def test_a_password_of_the_command_line_ends_the_sessions(site):
    # Given
    person = site.person("viewer")
    # When
    with site.database.write() as session:
        set_password(session, find_user(session, "viewer"), "quite another password", utc_now())
    # Then
    assert person.get("/jobs").status_code == 302


class Clock:
    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now


@pytest.mark.parametrize(
    ("passed", "status"), [(ABSOLUTE - timedelta(minutes=1), 200), (ABSOLUTE, 302), (-IDLE, 302)]
)
def test_a_session_ends_at_its_absolute_limit_however_busy(site, passed, status):
    # Given: the cookie is renewed with each request, so only the log-in's time can end it
    clock = Clock()
    person = Person(create_app(site.settings, site.broker, site.database, clock).test_client())
    person.log_in("viewer", PASSWORD)
    # When
    clock.now += passed
    # Then
    assert person.get("/jobs").status_code == status


def test_a_cookie_without_a_time_of_log_in_is_worth_nothing(site):
    # Given: a session of an earlier version
    person = site.person("viewer")
    # When
    with person.client.session_transaction() as session:
        del session["began_at"]
    # Then
    assert person.get("/jobs").status_code == 302
