"""People log in at an OpenID provider, and whoever it does not vouch for stays out."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPResponse
from urllib.parse import urlsplit
from urllib.request import HTTPErrorProcessor, Request, build_opener

import pytest
from werkzeug.test import TestResponse

from services.web.app import create_app
from services.web.openid import provider_session
from shared.clock import utc_now
from shared.database.models import User
from shared.users.accounts import find_user, list_users, set_disabled
from tests.support.servers.openid_provider import OpenIdScript, openid_provider, settings_of
from tests.support.services.web import Person, Site, a_node, peopled_file, site

__all__ = ["peopled_file", "site"]


class _NoRedirect(HTTPErrorProcessor):
    def http_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:
        return response


#: A browser at the provider, which does not follow it back: the page is not served here.
AT_PROVIDER = build_opener(_NoRedirect)


@pytest.fixture
def script() -> Iterator[OpenIdScript]:
    with openid_provider() as made:
        yield made


def visitor(site: Site, script: OpenIdScript, **settings: object) -> Person:
    changed = site.settings.model_copy(update=settings_of(script) | settings)
    return Person(create_app(changed, site.broker, site.database).test_client())


def way_back(begun: TestResponse) -> str:
    """Follow the browser to the provider, and return where it is sent back to."""
    assert begun.status_code == 302, begun.text
    with AT_PROVIDER.open(begun.location, timeout=10) as response:
        back = urlsplit(response.headers["Location"])
    assert back.netloc == "localhost"
    return f"{back.path}?{back.query}"


def log_in(person: Person, wanted: str = "") -> TestResponse:
    return person.get(way_back(person.get("/login/provider", query_string={"next": wanted})))


def users(site: Site) -> dict[str, User]:
    with site.database.read() as session:
        return {user.name: user for user in list_users(session)}


def test_the_first_log_in_makes_a_user_with_the_role_of_the_claims(site, script):
    # Given
    person = visitor(site, script)
    assert "Log in with Keycloak" in person.text("/login")
    # When
    response = log_in(person, "/jobs?kind=query")
    # Then
    assert response.location == "/jobs?kind=query"
    assert person.get("/imports/query").status_code == 200
    anna = users(site)["anna"]
    assert (anna.role, anna.oidc_subject, anna.oidc_issuer) == ("importer", "1234", script.issuer)
    assert anna.last_login_at is not None


def test_later_log_ins_find_the_user_whatever_the_name(site, script):
    # Given
    log_in(visitor(site, script))
    script.claims |= {"preferred_username": "anna.married", "roles": ["others", "dose-admins", "unknown"]}
    before = users(site)["anna"]
    # When
    person = visitor(site, script)
    log_in(person)
    # Then
    after = users(site)
    assert (after["anna"].id, after["anna"].role) == (before.id, "admin")
    assert "anna.married" not in after
    assert person.get("/users").status_code == 200


def test_another_role_of_the_claims_ends_the_sessions_of_before(site, script):
    # Given
    person = visitor(site, script)
    log_in(person)
    # When
    script.claims |= {"roles": "others"}
    log_in(visitor(site, script))
    # Then
    assert person.get("/jobs").status_code == 302


def test_a_local_account_of_the_same_name_is_another_one(site, script):
    # Given
    script.claims |= {"preferred_username": "admin"}
    # When
    person = visitor(site, script)
    log_in(person)
    # Then
    assert person.get("/users").status_code == 403
    assert users(site)["admin"].oidc_subject is None
    assert users(site)["admin (2)"].role == "importer"


@pytest.mark.parametrize("roles", [["unknown"], [], None, "dose", {"dose-users": True}])
def test_nobody_gets_in_without_a_role(site, script, roles):
    # Given
    script.claims |= {"roles": roles}
    # When
    person = visitor(site, script)
    response = log_in(person)
    # Then
    assert response.status_code == 403
    assert "gives you no role in DoseQR" in response.text
    assert person.get("/jobs").status_code == 302
    assert "anna" not in users(site)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("wrong nonce", "(nonce)"),
        ("without nonce", "(nonce)"),
        ("wrong audience", "(aud)"),
        ("several audiences", "(azp)"),
        ("wrong issuer", "(iss)"),
        ("expired", "expired_token"),
        ("of tomorrow", "(nbf)"),
        ("unsigned", "not valid"),
        ("signed with the secret", "not valid"),
        ("another key", "not valid"),
        ("denied", "let nobody log in"),
    ],
)
def test_a_proof_that_is_none_lets_nobody_in(site, script, fault, words):
    # Given
    person = visitor(site, script)
    script.fault = fault
    # When
    response = log_in(person)
    # Then
    assert response.status_code == 403
    assert words in response.text
    assert person.get("/jobs").status_code == 302
    assert "anna" not in users(site)


@pytest.mark.parametrize("fault", ["500", "no JSON", "redirects", "endless", "hangs", "other issuer"])
@pytest.mark.parametrize("step", ["there", "back"])
def test_a_provider_in_trouble_keeps_nobody_from_the_local_log_in(site, script, fault, step, monkeypatch):
    # Given
    monkeypatch.setattr(provider_session.BoundedAdapter.__init__, "__defaults__", (1.0, 0.3))
    person = visitor(site, script)
    back = way_back(person.get("/login/provider")) if step == "back" else "/login/provider"
    script.fault = fault
    # When
    response = person.get(back)
    # Then
    assert response.status_code in (403, 503)
    assert "Keycloak" in response.text
    assert person.log_in("viewer").status_code == 302
    assert person.get("/jobs").status_code == 200


def test_a_provider_that_is_away_is_named_with_what_helps(site, script):
    # Given
    person = visitor(site, script, oidc_issuer="http://127.0.0.1:1")
    # When
    response = person.get("/login/provider")
    # Then
    assert response.status_code == 503
    assert "Local accounts still log in with their password." in response.text


def test_keys_may_be_replaced_at_any_time(site, script):
    # Given
    log_in(visitor(site, script))
    # When
    script.rotate()
    person = visitor(site, script)
    # Then
    assert log_in(person).status_code == 302
    assert person.get("/jobs").status_code == 200


@pytest.mark.parametrize("change", ["another browser", "twice", "another state", "no state"])
def test_a_way_back_counts_once_in_the_browser_that_began(site, script, change):
    # Given
    person = visitor(site, script)
    back = way_back(person.get("/login/provider"))
    # When
    if change == "twice":
        person.get(back)
        person.post("/logout")
    elif change == "another browser":
        person = visitor(site, script)
    else:
        back = back.replace("state=", "state=x" if change == "another state" else "other=")
    response = person.get(back)
    # Then
    assert response.location == "/login"
    assert "begun elsewhere or too long ago" in person.text("/login")
    assert person.get("/jobs").status_code == 302


def test_claims_of_user_info_count_for_the_same_person_alone(site, script):
    # Given
    script.info, script.claims = {"realm_access": {"roles": ["dose-admins"]}}, {"sub": "1234"}
    # When
    accepted = log_in(visitor(site, script, oidc_role_claim="realm_access.roles"))
    script.fault = "info of another"
    refused = log_in(visitor(site, script, oidc_role_claim="realm_access.roles"))
    # Then
    assert (accepted.status_code, refused.status_code) == (302, 403)
    assert users(site)["1234"].role == "admin"


def test_logging_out_leads_to_the_log_out_of_the_provider(site, script):
    # Given
    person = visitor(site, script)
    log_in(person)
    # When
    response = person.post("/logout")
    # Then
    address = (
        f"{script.issuer}/logout?client_id=doseqr&amp;post_logout_redirect_uri=http%3A%2F%2Flocalhost%2Flogin"
    )
    assert f'content="0; url={address}"' in response.text
    assert person.get("/jobs").status_code == 302


def test_a_user_who_is_disabled_here_stays_out(site, script):
    # Given
    log_in(visitor(site, script))
    with site.database.write() as session:
        set_disabled(find_user(session, "anna"), utc_now())
    # When
    response = log_in(visitor(site, script))
    # Then
    assert response.status_code == 403
    assert "disabled in DoseQR" in response.text


def test_a_user_of_the_provider_has_no_password_and_no_role_here(site, script):
    # Given
    person = visitor(site, script)
    log_in(person)
    admin, anna = site.person("admin"), users(site)["anna"].id
    # When
    statuses = [
        admin.post(f"/users/{anna}/password").status_code,
        admin.post(f"/users/{anna}/role", {"role": "admin"}).status_code,
        site.person().log_in("anna", "").status_code,
        person.get("/password").status_code,
    ]
    # Then
    assert statuses == [400, 400, 422, 302]
    assert "A second factor is set up there." in person.text("/account/second-factor")
    assert person.get("/jobs").status_code == 200


def test_groups_of_nodes_come_from_the_claims_at_each_log_in(site, script):
    # Given
    named = {"oidc_group_claim": "sites"}
    # When
    groups = []
    for sites in (["B", "A"], "B", None):
        script.claims |= {"sites": sites}
        person = visitor(site, script, **named)
        assert log_in(person).status_code == 302
        groups.append(users(site)["anna"].node_groups)
    # Then
    assert groups == [["A", "B"], ["B"], []]
    assert "pacs" not in person.text("/nodes").split("</header>")[1]


def test_a_group_of_the_claims_shows_its_own_nodes_alone(site, script):
    # Given
    for name, group in (("pacs-a", "Hospital A"), ("pacs-b", "Hospital B")):
        a_node(site.database, "remote", name, group=group)
    script.claims |= {"realm_access": {"sites": ["Hospital A", "Unknown"]}}
    person = visitor(site, script, oidc_group_claim="realm_access.sites")
    # When
    log_in(person)
    # Then
    shown = person.text("/nodes")
    assert "pacs-a" in shown
    assert "pacs-b" not in shown


def test_with_local_log_in_switched_off_one_account_is_left(site, script):
    # Given
    person = visitor(site, script, local_login="break-glass")
    # When
    others, emergency = (
        person.log_in("viewer"),
        visitor(site, script, local_login="break-glass").log_in("admin"),
    )
    # Then
    assert others.status_code == 422
    assert "Log in at Keycloak." in others.text
    assert emergency.status_code == 302


def test_a_second_factor_is_demanded_of_local_accounts_alone(site, script):
    # Given
    person = visitor(site, script, require_second_factor="all")
    # When
    log_in(person)
    # Then
    assert person.get("/jobs").status_code == 200
