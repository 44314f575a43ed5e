"""Each operation serves its scope and those above it, and nobody else."""

from __future__ import annotations

import pytest

from services.web.api import authentication, commands
from services.web.api.authentication import FailedTokens
from services.web.api.blueprint import operations
from services.web.api.operations import Operation
from services.web.api.problems import PREFIX
from shared.users.api_tokens import SCOPES
from tests.support.jobs.rows import a_query, a_retrieve, a_study
from tests.support.services.web_api import problem

OPEN = {"openapi"}
PATHS = {
    "node": "pacs",
    "job": "q1",
    "query_id": "q1",
    "study": "1.2",
    "dead_letter": "0" * 32,
    "comparison": "c1",
    "schedule": "nightly",
    "study_list": "l1",
    "address": "mail",
}
CLOSED = [operation for operation in operations() if operation.scope]


def address(operation: Operation) -> str:
    return operation.path.format(**PATHS)


@pytest.fixture
def filled(api):
    api.site.add(a_query("q1", studies_kept=1), a_study("1.2", "q1"), a_retrieve("r1", "q1"))
    return api


def test_every_route_below_the_prefix_is_an_operation(site):
    # Given
    routed = {
        (method, rule.rule)
        for rule in site.app.url_map.iter_rules()
        if rule.rule.startswith(PREFIX)
        for method in (rule.methods or set()) - {"HEAD"}
    }
    # Then
    described = {
        (item.method, PREFIX + item.path.replace("{", "<").replace("}", ">")) for item in operations()
    }
    assert routed == described


def test_without_a_token_nothing_but_the_document_is_served(filled, monkeypatch):
    # Given
    monkeypatch.setattr(authentication, "MAX_FAILURES", len(operations()))
    for operation in operations():
        # When
        response = filled.send(operation.method, address(operation), scope="")
        # Then
        if operation.name in OPEN:
            assert response.status_code == 200
        else:
            problem(response, 401)
            assert response.headers["WWW-Authenticate"] == 'Bearer realm="DoseQR"'
    assert filled.site.commands == []


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_allows_itself_and_what_is_below(filled, scope, monkeypatch):
    # Given
    monkeypatch.setattr("services.web.api.routes.nodes.ECHO_LONGEST_S", 0.05)
    monkeypatch.setattr(commands, "TAKEN_WITHIN_S", 0.0)
    refused = [item for item in CLOSED if SCOPES.index(item.scope) > SCOPES.index(scope)]
    for operation in refused:
        # When
        response = filled.send(operation.method, address(operation), scope=scope)
        # Then
        problem(response, 403)
        challenge = response.headers["WWW-Authenticate"]
        assert f'error="insufficient_scope", scope="{operation.scope}"' in challenge
    assert filled.site.commands == []
    for operation in CLOSED:
        if operation not in refused:
            # When
            response = filled.send(operation.method, address(operation), scope=scope)
            # Then
            assert response.status_code not in (401, 403), response.text


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic YWRtaW46YWRtaW4=",
        "bearer doseqr_" + "x" * 43,
        "Bearer \xff",
        "",
    ],
)
def test_anything_but_a_valid_token_is_refused(api, header):
    # When
    response = api.send("GET", "/nodes", scope="", headers={"Authorization": header})
    # Then
    problem(response, 401)


def test_the_scheme_may_be_written_in_any_case(api):
    token = api.tokens["read"]
    assert (
        api.send("GET", "/nodes", scope="", headers={"Authorization": f"bEARER {token}"}).status_code == 200
    )


def test_the_session_of_the_page_counts_for_nothing(site):
    # Given
    admin = site.person("admin")
    token = admin.token("/nodes")
    # When
    read = admin.client.get(f"{PREFIX}/nodes")
    written = admin.client.delete(f"{PREFIX}/nodes/1", headers={"X-CSRFToken": token})
    # Then
    assert (read.status_code, written.status_code) == (401, 401)


def test_a_token_opens_no_page(api):
    # When
    response = api.site.app.test_client().get(
        "/nodes", headers={"Authorization": f"Bearer {api.tokens['admin']}"}
    )
    # Then
    assert response.status_code == 302


def test_too_many_failures_lead_to_a_pause(api, monkeypatch):
    # Given
    monkeypatch.setattr(authentication, "MAX_FAILURES", 3)
    statuses = [api.send("GET", "/nodes", scope="").status_code for _ in range(4)]
    # When
    response = api.send("GET", "/nodes", scope="")
    # Then
    assert statuses == [401, 401, 401, 429]
    problem(response, 429)
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    # A valid token from the same address is served.
    assert api.send("GET", "/nodes").status_code == 200


def test_failures_are_counted_by_address_and_minute():
    # Given
    now = 0.0
    failures = FailedTokens(lambda: now)
    for _ in range(authentication.MAX_FAILURES):
        assert failures.add("192.0.2.1") is None
    # Then
    assert failures.add("192.0.2.1") == 60.0
    assert failures.add("192.0.2.2") is None
    now = 61.0
    assert failures.add("192.0.2.1") is None


def test_remembered_addresses_are_bounded(monkeypatch):
    # Given
    monkeypatch.setattr(authentication, "MAX_ADDRESSES", 3)
    failures = FailedTokens()
    # When
    for number in range(10):
        failures.add(f"192.0.2.{number}")
    # Then
    assert len(failures._windows) == 3
