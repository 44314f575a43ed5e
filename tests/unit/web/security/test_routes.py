"""Every route of the page and the API, with who may use it: a new route without a row fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from services.web.api import commands
from services.web.api.blueprint import operations
from services.web.api.problems import PREFIX
from services.web.app import create_app
from shared.broker.memory.broker import MemoryBroker
from shared.users.api_tokens import SCOPES
from tests.support.services.two_hospitals import MARK, Hospital, fill, token_of
from tests.support.services.web import Person, Site

EVERYBODY = ("", "viewer", "importer", "admin")
USERS, IMPORTERS, ADMINS = EVERYBODY[1:], EVERYBODY[2:], EVERYBODY[3:]

#: Who may use each route of the page.
PAGES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "auth.log_in",
            "auth.login",
            "bootstrap.static",
            "health.live",
            "health.ready",
            "provider_log_in.begin",
            "provider_log_in.callback",
            "second_step.check",
            "second_step.form",
            "static",
        ),
        EVERYBODY,
    ),
    **dict.fromkeys(
        (
            "auth.change_password",
            "auth.home",
            "auth.logout",
            "auth.password",
            "calendar.show",
            "charts.show",
            "comparisons.detail",
            "comparisons.differences",
            "comparisons.listing",
            "comparisons.result",
            "coverage.show",
            "coverage.studies",
            "doses.show",
            "exports.document",
            "exports.record",
            "exports.table",
            "jobs.about",
            "jobs.detail",
            "jobs.fragment",
            "jobs.listing",
            "jobs.reports",
            "jobs.results",
            "jobs.rows",
            "jobs.studies_fragment",
            "jobs.study",
            "ledger.show",
            "live.banner",
            "live.stream",
            "notifications.add",
            "notifications.change",
            "notifications.create",
            "notifications.edit",
            "notifications.listing",
            "notifications.pause",
            "notifications.remove",
            "notifications.resume",
            "notifications.try_now",
            "reconciliations.form",
            "reconciliations.upload",
            "second_factor.remove",
            "second_factor.renew",
            "second_factor.set_up",
            "second_factor.show",
            "start.show",
            "start.state",
            "trace.show",
        ),
        USERS,
    ),
    **dict.fromkeys(
        (
            "comparisons.create",
            "comparisons.retrieve",
            "handovers.retry",
            "jobs.again",
            "jobs.cancel",
            "jobs.pause",
            "jobs.raise_priority",
            "jobs.resume",
            "jobs.retrieve",
            "nodes.listing",
            "nodes.status",
            "nodes.test",
            "profiles.show",
            "profiles.status",
            "query.form",
            "query.latest",
            "query.list_report",
            "query.preview_line",
            "query.submit",
            "response_times.show",
            "schedules.add",
            "schedules.change",
            "schedules.confirm_removal",
            "schedules.create",
            "schedules.edit",
            "schedules.listing",
            "schedules.pause",
            "schedules.remove",
            "schedules.resume",
            "schedules.run",
            "schedules.show",
            "schedules.state",
            "setup.retrieve_one",
            "setup.sheet",
            "setup.show",
            "study_lists.cancel",
            "study_lists.listing",
            "study_lists.retrieve",
            "study_lists.show",
            "study_lists.state",
        ),
        IMPORTERS,
    ),
    **dict.fromkeys(
        (
            "audit.export",
            "audit.listing",
            "nodes.add",
            "nodes.change",
            "nodes.confirm_removal",
            "nodes.create",
            "nodes.edit",
            "nodes.pause",
            "nodes.remove",
            "nodes.resume",
            "notifications.system_add",
            "notifications.system_create",
            "notifications.system_listing",
            "profiles.publish",
            "retention.show",
            "system.drop",
            "system.explain",
            "system.part",
            "system.replay",
            "system.show",
            "tokens.create",
            "tokens.listing",
            "tokens.revoke",
            "users.add",
            "users.disable",
            "users.enable",
            "users.groups",
            "users.listing",
            "users.remove_second_factor",
            "users.reset",
            "users.role",
        ),
        ADMINS,
    ),
}

#: The scope of each operation of the API; none: open to all.
OPERATIONS: dict[str, str | None] = {
    "openapi": None,
    **dict.fromkeys(
        (
            "create_reconciliation",
            "explain_study",
            "follow_job",
            "list_all_comparisons",
            "list_study_lists",
            "read_study_list",
            "trace_job",
            "list_all_nodes",
            "list_all_schedules",
            "list_jobs",
            "list_notification_addresses",
            "list_notification_deliveries",
            "list_objects",
            "list_station_studies",
            "list_studies",
            "read_calendar",
            "read_coverage",
            "read_node",
            "read_notification_address",
            "read_one_comparison",
            "read_one_job",
            "read_profile",
            "read_retention",
            "read_schedule",
            "read_system",
        ),
        "read",
    ),
    **dict.fromkeys(
        (
            "cancel_job",
            "change_notification_address",
            "change_schedule",
            "cancel_study_list",
            "create_comparison",
            "create_study_list",
            "retrieve_study_list",
            "create_notification_address",
            "create_query",
            "create_retrieve",
            "create_schedule",
            "delete_notification_address",
            "delete_schedule",
            "echo_node",
            "pause_job",
            "raise_job",
            "repeat_job",
            "resume_job",
            "run_schedule",
            "try_notification_address",
        ),
        "import",
    ),
    **dict.fromkeys(
        (
            "change_node",
            "create_node",
            "delete_node",
            "drop_dead_letter",
            "explain_dead_letter",
            "list_audit",
            "list_dead_letters",
            "pause_node",
            "replay_dead_letter",
            "resume_node",
        ),
        "admin",
    ),
}

#: Parts of an address that name what belongs to a hospital.
NAMING = frozenset(
    ("comparison", "comparison_id", "job", "job_id", "list_id", "node", "node_id", "query_id", "schedule")
) | {"schedule_id"}
#: Routes that hold a thread until their stream ends.
STREAMS = {"live.stream", "api.follow_job"}
#: These end the session, and are tried last.
LAST = {"auth.logout"}
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
#: Without an OpenID provider there is nothing behind them.
WITHOUT_PROVIDER = {"provider_log_in.begin"}


@dataclass(frozen=True, slots=True)
class Route:
    """A rule of the URL map with an address."""

    endpoint: str
    method: str
    address: str
    arguments: frozenset[str]

    @property
    def names_a_part(self) -> bool:
        """Whether the address names something that belongs to a hospital."""
        return bool(self.arguments & NAMING)


def method_of(rule: Rule) -> str:
    methods = rule.methods or set()
    return next(iter(methods & UNSAFE), "GET")


def routes(app: Flask, hospital: Hospital) -> list[Route]:
    """Return every route, with the ids of a hospital in its address."""
    others = {
        "address_id": 1,
        "address": "1",
        "user_id": 1,
        "kind": "remote",
        "filename": "live.js",
        "dead_letter": "0" * 32,
    }
    adapter, arguments = app.url_map.bind("localhost"), hospital.arguments | others
    found = []
    for rule in app.url_map.iter_rules():
        values = {name: arguments[name] for name in rule.arguments}
        address = adapter.build(rule.endpoint, values, method=method_of(rule))
        found.append(Route(rule.endpoint, method_of(rule), address, frozenset(rule.arguments)))
    return sorted(found, key=lambda route: (route.endpoint in LAST, route.endpoint))


@pytest.fixture
def hospitals(site: Site, monkeypatch: pytest.MonkeyPatch) -> tuple[Hospital, Hospital]:
    monkeypatch.setattr(commands, "TAKEN_WITHIN_S", 0.0)
    monkeypatch.setattr("services.web.api.routes.nodes.ECHO_LONGEST_S", 0.01)
    site.listen_all()
    return fill(site)


def pages(site: Site, hospital: Hospital) -> Iterator[Route]:
    for route in routes(site.app, hospital):
        if not route.endpoint.startswith("api.") and route.endpoint not in STREAMS | WITHOUT_PROVIDER:
            yield route


def api_routes(site: Site, hospital: Hospital) -> Iterator[Route]:
    for route in routes(site.app, hospital):
        if route.endpoint.startswith("api.") and route.endpoint not in STREAMS:
            yield route


def text_of(response: TestResponse) -> str:
    """Return the text of a response; of an archive, that of its files."""
    content: bytes = response.data
    response.close()
    if response.mimetype != "application/zip":
        return content.decode(errors="replace")
    with ZipFile(BytesIO(content)) as archive:
        return "\n".join(archive.read(name).decode(errors="replace") for name in archive.namelist())


def get(person: Person, route: Route) -> tuple[int, str]:
    response = person.get(route.address)
    return response.status_code, text_of(response)


def test_every_route_has_its_row(test_settings, database):
    # Given
    app = create_app(test_settings, MemoryBroker(), database)
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    # Then
    assert {name for name in endpoints if not name.startswith("api.")} == set(PAGES)
    assert {name.removeprefix("api.") for name in endpoints if name.startswith("api.")} == set(OPERATIONS)
    assert {item.name: item.scope for item in operations()} == OPERATIONS


@pytest.mark.parametrize("role", EVERYBODY)
def test_a_page_is_for_its_roles_alone(site, hospitals, role):
    # Given
    person = site.person(role) if role else site.person()
    wrong = []
    # When
    for route in pages(site, hospitals[0]):
        if route.endpoint in LAST:
            continue
        data = {"csrf_token": person.token()} if route.method in UNSAFE else None
        response = person.client.open(route.address, method=route.method, data=data)
        status = response.status_code
        response.close()
        allowed = role in PAGES[route.endpoint]
        refused = (
            status == 403
            if role
            else status in (302, 401) and "login" in response.headers.get("Location", "login")
        )
        if allowed == (refused and (role != "" or not allowed)):
            wrong.append((route.endpoint, status))
    # Then
    assert wrong == []


@pytest.mark.parametrize("role", USERS)
def test_a_form_counts_with_the_token_of_its_session_alone(site, hospitals, role):
    # Given
    person, other = site.person(role), site.person(role)
    foreign = other.token()
    # When
    statuses = {
        (route.endpoint, sent): person.client.open(route.address, method=route.method, data=data).status_code
        for route in pages(site, hospitals[0])
        if route.method in UNSAFE
        for sent, data in (("none", {}), ("foreign", {"csrf_token": foreign}))
    }
    # Then
    assert {key: status for key, status in statuses.items() if status != 400} == {}
    assert site.commands == []


@pytest.mark.parametrize(("name", "role"), [("anna", "importer"), ("vera", "viewer")])
def test_what_is_of_another_group_is_not_there(site, hospitals, name, role):
    # Given
    _, other = hospitals
    person, wrong = site.person(name), []
    # When
    for route in pages(site, other):
        if not route.names_a_part or role not in PAGES[route.endpoint]:
            continue
        response = person.post(route.address) if route.method == "POST" else person.get(route.address)
        if response.status_code != 404 or MARK in response.text.replace(route.address, ""):
            wrong.append((route.endpoint, response.status_code))
    # Then
    assert wrong == []
    assert site.commands == []


@pytest.mark.parametrize(("name", "role"), [("anna", "importer"), ("vera", "viewer")])
def test_what_is_of_the_own_group_is_as_for_those_without_limits(site, hospitals, name, role):
    # Given
    limited, unlimited = site.person(name), site.person(role)
    own, _ = hospitals
    # When
    reading = [route for route in pages(site, own) if route.method == "GET" and role in PAGES[route.endpoint]]
    statuses = {route.endpoint: (get(limited, route)[0], get(unlimited, route)[0]) for route in reading}
    # Then
    assert {key: pair for key, pair in statuses.items() if pair[0] != pair[1] or max(pair) >= 500} == {}


@pytest.mark.parametrize(("name", "role"), [("anna", "importer"), ("vera", "viewer")])
def test_no_page_names_what_is_of_another_group(site, hospitals, name, role):
    # Given
    own, _ = hospitals
    person = site.person(name)
    # When
    naming = [
        route.endpoint
        for route in pages(site, own)
        if route.method == "GET" and role in PAGES[route.endpoint] and MARK in get(person, route)[1]
    ]
    # Then
    assert naming == []


@pytest.mark.parametrize(("name", "scope"), [("anna", "import"), ("vera", "read")])
def test_the_api_gives_nothing_of_another_group(site, hospitals, name, scope):
    # Given
    own, other = hospitals
    headers = {"Authorization": f"Bearer {token_of(site, name, scope)}"}
    client, wrong = site.app.test_client(), []
    # When
    for hospital in (own, other):
        for route in api_routes(site, hospital):
            needed = OPERATIONS[route.endpoint.removeprefix("api.")]
            if needed is None or SCOPES.index(needed) > SCOPES.index(scope):
                continue
            is_other = hospital is other and route.names_a_part
            response = client.open(
                route.address,
                method=route.method,
                headers=headers,
                json={} if route.method == "PATCH" else None,
            )
            names = MARK in response.text.replace(route.address, "")
            if names or (is_other and response.status_code != 404):
                wrong.append((route.endpoint, hospital.group, response.status_code))
    # Then
    assert wrong == []
    published: list[Any] = [command for _, command in site.commands]
    assert MARK not in repr(published)


def by_query(person: Person, other: Hospital) -> dict[str, int]:
    """Return the statuses of requests that name the other hospital elsewhere than in the path."""
    node, mark = str(other.remote), other.mark
    query = {
        "remote": node,
        "store": "1",
        "types": "CT",
        "date_from": "2024-05-01",
        "date_until": "2024-05-01",
    }
    nightly = {**query, "name": "mine", "when": "daily 06:30", "every": "daily", "time": "06:30"}
    own_remote = {**query, "remote": "3", "store": str(other.store)}
    return {
        "stream": person.get(f"/live?follow={mark}q").status_code,
        "form of a job": person.get(f"/imports/query?job={mark}q").status_code,
        "form like a job": person.get(f"/imports/query?like={mark}q").status_code,
        "echo": person.post("/nodes/echo", {"node": node}).status_code,
        "query": person.post("/imports/query", query).status_code,
        "store of the other": person.post("/imports/query", own_remote).status_code,
        "schedule": person.post("/schedules/add", nightly).status_code,
        "comparison": person.post("/comparisons", {"node": node, "date_from": "2024-05-01"}).status_code,
        "comparison with": person.post(
            "/comparisons", {"node": "3", "other": node, "date_from": "2024-05-01"}
        ).status_code,
        "reconciliation": person.post("/reconciliations", {"node": node}).status_code,
    }


def test_a_node_of_another_group_is_refused_wherever_it_is_named(site, hospitals):
    # Given
    _, other = hospitals
    person = site.person("anna")
    # When
    statuses = by_query(person, other)
    # Then
    assert {key: status for key, status in statuses.items() if status not in (404, 422)} == {}
    assert site.commands == []


def test_the_api_refuses_a_node_of_another_group(site, hospitals):
    # Given
    own, other = hospitals
    client, path = site.app.test_client(), PREFIX
    headers = {"Authorization": f"Bearer {token_of(site, 'anna', 'import')}"}
    criteria = {"types": ["CT"], "date_from": "2024-05-01", "date_until": "2024-05-01"}
    query = {"remote": other.remote, "store": own.store, "criteria": criteria}
    bodies = [
        ("/queries", query),
        ("/study-lists", {**query, "criteria": {"types": ["CT"]}, "lines": ["A1"]}),
        ("/queries", {**query, "remote": own.remote, "store": other.store}),
        ("/schedules", {**query, "name": "mine", "when": "daily 06:30"}),
        ("/comparisons", {"node": other.remote, "date_from": "2024-05-01"}),
        ("/comparisons", {"queries": [f"{MARK}q"]}),
        ("/reconciliations", {"node": f"{MARK}pacs", "lines": [{"accession_number": "A1"}]}),
    ]
    # When
    statuses = [
        client.post(path + address, json=body, headers=headers).status_code for address, body in bodies
    ]
    queries = [
        client.get(f"{path}{address}", headers=headers).status_code
        for address in (
            f"/calendar?node={other.remote}",
            f"/coverage?node={MARK}pacs",
            f"/coverage/studies?node={other.remote}",
            f"/jobs?node={other.remote}",
        )
    ]
    # Then
    assert set(statuses) | set(queries) <= {404, 422}
    assert site.commands == []


def test_a_test_of_all_nodes_is_one_of_the_own(site, hospitals):
    # Given
    own, _ = hospitals
    # When
    site.person("anna").post("/nodes/echo")
    # Then
    _, command = site.command()
    assert set(command.nodes) == {own.remote, own.store, 2}


def test_an_administrator_uses_all_nodes_whatever_the_groups(site, hospitals):
    # Given
    site.person("admin").post("/users/1/groups", {"groups": "Own"})
    # When
    site.person("admin").post("/users/1/role", {"role": "admin"})
    # Then
    assert MARK in site.person("viewer").text("/nodes")
