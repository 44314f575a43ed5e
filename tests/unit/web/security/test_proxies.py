"""Addresses behind proxies, and the names under which the page may be called."""

from __future__ import annotations

import pytest

from services.web.app import create_app
from services.web.login_limit import FREE_FAILURES
from tests.support.services.web import Person, Site


def person_of(site: Site, **settings: object) -> Person:
    changed = site.settings.model_copy(update=settings)
    return Person(create_app(changed, site.broker, site.database).test_client())


def fail_from(person: Person, *addresses: str) -> list[int]:
    return [
        person.log_in(f"nobody-{number}", "wrong password", headers={"X-Forwarded-For": address}).status_code
        for number, address in enumerate(addresses)
    ]


def test_users_behind_a_proxy_do_not_lock_each_other_out(site):
    # Given
    person = person_of(site, trusted_proxies=1)
    fail_from(person, *["10.0.0.1"] * (FREE_FAILURES + 1))
    # When
    first, second = fail_from(person, "10.0.0.1", "10.0.0.2")
    # Then
    assert (first, second) == (429, 422)


@pytest.mark.parametrize(("proxies", "expected"), [(0, "127.0.0.1"), (1, "10.0.0.3"), (2, "10.0.0.2")])
def test_only_as_many_forwarded_addresses_as_proxies_are_believed(site, capsys, proxies, expected):
    # When: the client itself sends the first of them
    fail_from(person_of(site, trusted_proxies=proxies), "10.0.0.1, 10.0.0.2, 10.0.0.3")
    # Then
    assert f'"remote_address": "{expected}"' in capsys.readouterr().err


def test_the_audit_log_holds_the_name_that_was_tried(site, capsys):
    # When
    site.person().log_in("mallory\n[info] forged", "wrong password")
    # Then
    lines = [line for line in capsys.readouterr().err.splitlines() if "log-in refused" in line]
    assert len(lines) == 1
    assert "mallory" in lines[0]


@pytest.mark.parametrize("name", ["a\x00b", "x" * 100_000, "\ud800"[:0] + "ä" * 65])
def test_a_name_that_is_none_is_refused_like_a_wrong_one(site, name):
    assert site.person().log_in(name, "wrong password").status_code == 422


@pytest.mark.parametrize("address", ["/jobs//x", "//jobs", "/nodes//1", "/jobs/"])
def test_no_redirect_names_the_host_that_a_client_sends(site, address):
    # When
    response = site.person().get(address, base_url="http://evil.example")
    # Then
    assert "evil.example" not in response.headers.get("Location", "")


def test_only_trusted_hosts_are_served_where_they_are_set(site):
    # Given
    person = person_of(site, trusted_hosts=("doseqr.example", ".hospital.example"))
    # When
    statuses = [
        person.get("/login", base_url=f"http://{host}").status_code
        for host in ("doseqr.example", "web.hospital.example:8000", "evil.example", "doseqr.example.evil")
    ]
    # Then
    assert statuses == [200, 200, 400, 400]
