"""Tokens of the API on the page: made, shown once, listed with their last use, revoked."""

from __future__ import annotations

import re

import pytest

from services.web.api.problems import PREFIX

FORM = {"name": "nightly", "owner": "importer", "scope": "import", "days": "30"}


def status_of(site, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return int(site.app.test_client().get(f"{PREFIX}/nodes", headers=headers).status_code)


def test_a_token_is_shown_once_used_and_revoked(site):
    # Given
    admin = site.person("admin")
    # When
    made = admin.post("/tokens", FORM)
    found = re.search(r"doseqr_[\w-]+", made.text)
    assert found is not None
    used = status_of(site, found[0])
    listed = admin.text("/tokens")
    admin.post("/tokens/revoke", {"name": "nightly"})
    # Then
    assert used == 200
    assert found[0] not in listed
    assert "nightly" in listed
    assert "Never" not in listed
    assert status_of(site, found[0]) == 401
    assert "Revoked" in admin.text("/tokens")


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"name": ""}, "name", "Must have 1 to 64"),
        ({"owner": "nobody"}, "owner", "There is no user of this name"),
        ({"scope": "admin"}, "scope", "does not allow admin"),
        ({"days": "0"}, "days", "Must be 1 to 3650"),
        ({"days": "x"}, "days", "Must be 1 to 3650, or empty"),
    ],
)
def test_what_is_wrong_with_a_token_stands_at_its_field(site, changes, field, problem):
    # When
    response = site.person("admin").post("/tokens", {**FORM, **changes})
    # Then
    assert response.status_code == 422
    assert problem in response.text
    assert f'href="#{field}"' in response.text


@pytest.mark.parametrize("address", ["/tokens", "/audit", "/audit/audit.csv", "/system", "/system/part"])
@pytest.mark.parametrize("name", ["viewer", "importer"])
def test_only_administrators_reach_these_pages(site, name, address):
    assert site.person(name).get(address).status_code == 403
