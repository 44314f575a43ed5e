"""The second factor: set up with a code, required at each log-in, reset by an administrator."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from pyotp import TOTP
from sqlalchemy import select

from services.web.app import create_app
from services.web.login_limit import FREE_FAILURES
from services.web.security.completion import SECOND_STEP_LIFE
from shared.clock import utc_now
from shared.database.models import AuditEntry
from shared.users.accounts import find_user, set_password
from tests.support.services.web import PASSWORD, Person, Site

PAGE = "/account/second-factor"


class Phone:
    """An authenticator app whose clock goes on by a step with each code."""

    def __init__(self, secret: str) -> None:
        self.totp, self.clock = TOTP(secret), Clock()

    def code(self) -> str:
        self.clock.now += timedelta(seconds=30)
        return self.totp.at(self.clock.now)


class Clock:
    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now


def page_of(site: Site, clock: Clock, **settings: object) -> Person:
    changed = site.settings.model_copy(update=settings)
    return Person(create_app(changed, site.broker, site.database, clock).test_client())


def set_up(person: Person) -> tuple[Phone, list[str]]:
    """Set up the second factor of somebody who is logged in; returns the phone and the recovery codes."""
    found = re.search(r'id="totp-secret">([A-Z2-7 ]+)<', person.text(PAGE))
    assert found is not None
    phone = Phone(found[1].replace(" ", ""))
    phone.clock.now -= timedelta(seconds=60)
    page = person.post(PAGE, {"code": phone.code(), "current": PASSWORD})
    assert page.status_code == 200, page.text
    codes = re.findall(r"<code[^>]*>([a-z2-7]{4}(?:-[a-z2-7]{4}){3})</code>", page.text)
    assert len(codes) == 10
    return phone, codes


def actions(site: Site) -> list[str]:
    with site.database.read() as session:
        return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def test_a_log_in_requires_the_code_once_set_up(site):
    # Given
    phone, _ = set_up(site.person("viewer"))
    person = site.person()
    # When
    first = person.post(
        "/login", {"name": "viewer", "password": PASSWORD}, query_string={"next": "/jobs?kind=query"}
    )
    before = person.get("/jobs")
    second = person.client.post(
        first.location, data={"csrf_token": person.token("/login/code"), "code": phone.code()}
    )
    # Then
    assert first.location == "/login/code?next=/jobs?kind%3Dquery"
    assert before.status_code == 302
    assert second.location == "/jobs?kind=query"
    assert person.get("/jobs").status_code == 200
    assert actions(site)[-2:] == ["second factor set up", "log-in"]


def test_a_used_or_wrong_code_is_refused_with_words(site):
    # Given
    phone, codes = set_up(site.person("viewer"))
    code = phone.code()
    person = site.person()
    person.log_in("viewer")
    assert person.post("/login/code", {"code": code}).status_code == 302
    # When
    other = site.person()
    other.log_in("viewer")
    responses = [other.post("/login/code", {"code": text}) for text in (code, "000", "", codes[0] + "x")]
    # Then
    assert {response.status_code for response in responses} == {422}
    assert "This code is wrong, has expired or was used before." in responses[0].text
    assert "second factor refused" in actions(site)


def test_a_recovery_code_logs_in_once_and_is_counted(site):
    # Given
    _, codes = set_up(site.person("viewer"))
    person, other = site.person(), site.person()
    person.log_in("viewer")
    other.log_in("viewer")
    # When / Then
    assert person.post("/login/code", {"code": codes[0]}).status_code == 302
    assert "9 recovery codes are left." in person.text("/jobs")
    assert other.post("/login/code", {"code": codes[0]}).status_code == 422


def test_guesses_are_limited_though_the_password_is_right_each_time(site):
    # Given
    phone, _ = set_up(site.person("viewer"))
    for number in range(FREE_FAILURES):
        person = site.person()
        assert person.log_in("viewer").location == "/login/code"
        assert person.post("/login/code", {"code": f"{number:06}"}).status_code == 422
    # When
    response = person.post("/login/code", {"code": phone.code()})
    # Then
    assert response.status_code == 429


@pytest.mark.parametrize("end", ["time", "password", "second factor", "disabled"])
def test_the_second_step_ends_with_what_it_rests_on(site, end):
    # Given
    clock = Clock()
    phone, _ = set_up(page_logged_in(site, clock))
    person = page_of(site, clock)
    person.log_in("viewer")
    # When
    with site.database.write() as session:
        user = find_user(session, "viewer")
        if end == "password":
            set_password(session, user, "quite another password", utc_now())
        elif end == "second factor":
            user.second_factor_since = None
        elif end == "disabled":
            user.disabled_at = utc_now()
        else:
            clock.now += SECOND_STEP_LIFE
    response = person.post("/login/code", {"code": phone.code()})
    # Then
    assert response.location == "/login"
    assert person.get("/jobs").status_code == 302


def page_logged_in(site: Site, clock: Clock) -> Person:
    person = page_of(site, clock)
    person.log_in("viewer")
    return person


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"code": "000000x", "current": PASSWORD}, "This is not the code of now."),
        ({"current": "wrong password"}, "This is not the present password."),
    ],
)
def test_nothing_is_set_up_without_code_and_password(site, form, problem):
    # Given
    person = site.person("viewer")
    # When
    response = person.post(PAGE, form)
    # Then
    assert response.status_code == 422
    assert problem in response.text
    with site.database.read() as session:
        assert find_user(session, "viewer").second_factor_since is None


def test_the_secret_stays_the_same_until_it_is_confirmed(site):
    # Given
    person = site.person("viewer")
    secret = re.search(r'id="totp-secret">([^<]+)<', person.text(PAGE))
    assert secret is not None
    # When / Then
    assert secret[0] in person.post(PAGE, {"code": "1"}).text


def test_setting_it_up_ends_other_sessions(site):
    # Given
    person, other = site.person("viewer"), site.person("viewer")
    # When
    set_up(person)
    # Then
    assert person.get("/jobs").status_code == 200
    assert other.get("/jobs").status_code == 302


def test_it_is_turned_off_by_a_code_alone(site):
    # Given
    person = site.person("viewer")
    phone, codes = set_up(person)
    # When
    refused = person.post(f"{PAGE}/remove", {"code": "000"})
    renewed = person.post(f"{PAGE}/recovery-codes", {"code": phone.code()})
    stale = person.post(f"{PAGE}/remove", {"code": codes[0]})
    fresh = re.findall(r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}", renewed.text)[0]
    removed = person.post(f"{PAGE}/remove", {"code": fresh})
    # Then
    assert [refused.status_code, renewed.status_code, stale.status_code] == [422, 200, 422]
    assert removed.status_code == 302
    assert site.person().log_in("viewer").location == "/"
    assert actions(site)[-3:] == ["recovery codes renewed", "second factor removed", "log-in"]


def test_an_administrator_resets_it(site):
    # Given
    person = site.person("viewer")
    set_up(person)
    admin = site.person("admin")
    # When
    assert "Reset second factor" in admin.text("/users")
    admin.post("/users/1/second-factor/remove")
    # Then
    assert person.get("/jobs").status_code == 302
    assert site.person().log_in("viewer").location == "/"
    assert "second factor reset" in actions(site)


@pytest.mark.parametrize(
    ("policy", "role", "first"),
    [
        ("none", "admin", False),
        ("admins", "admin", True),
        ("admins", "importer", False),
        ("all", "viewer", True),
    ],
)
def test_who_has_to_is_led_to_set_it_up_first(site, policy, role, first):
    # Given
    clock = Clock()
    person = page_of(site, clock, require_second_factor=policy)
    person.log_in(role)
    # When
    page, form, poll = person.get("/jobs"), person.post("/nodes/echo"), person.get("/nodes/status")
    # Then
    assert (page.location == PAGE) == first
    assert (form.location == PAGE) == first
    assert (poll.status_code == 403) == (first or role == "viewer")
    assert ("Jobs" in person.text("/password").split("</header>")[0]) == (not first)
    if first:
        set_up(person)
        assert person.get("/jobs").status_code == 200


def test_with_another_session_key_recovery_codes_are_left(site):
    # Given
    phone, codes = set_up(site.person("viewer"))
    person = page_of(site, Clock(), session_key="z" * 64)
    person.log_in("viewer")
    # When
    refused = person.post("/login/code", {"code": phone.code()})
    accepted = person.post("/login/code", {"code": codes[0]})
    # Then
    assert refused.status_code == 422
    assert "The key of this server has changed" in refused.text
    assert accepted.status_code == 302


def test_neither_secret_nor_codes_are_stored_as_they_are(site):
    # Given
    phone, codes = set_up(site.person("viewer"))
    # When
    with site.database.engine.connect() as connection:
        stored = repr(
            [
                connection.exec_driver_sql(f"SELECT * FROM {table}").all()
                for table in ("users", "recovery_codes", "audit_entries")
            ]
        )
    # Then
    assert phone.totp.secret not in stored
    assert not any(code in stored or code.replace("-", "") in stored for code in codes)
