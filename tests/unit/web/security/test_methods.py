"""State changes only by POST, PUT, PATCH or DELETE, by the right role, with the token of the session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import inspect

from shared.database.models import NotificationAddress
from shared.database.models.base import Base
from tests.support.jobs.rows import NOW, a_query, a_retrieve, a_study
from tests.support.jobs.schedules import plan_nightly
from tests.support.services.web import Person, Site

#: Methods that may change state.
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
ROLES = ("", "viewer", "importer", "admin")
#: What a form may hold: enough for each route to act.
FORM = {
    "name": "another",
    "role": "viewer",
    "host": "127.0.0.1",
    "port": "104",
    "ae_title": "ANOTHER",
    "types": "CT",
    "remote": "1",
    "store": "2",
    "date_from": "2024-05-01",
    "date_until": "2024-05-01",
}
#: Routes that hold a thread until their stream ends.
STREAMS = {"live.stream", "api.follow_job"}
#: Each role logs itself out last.
ENDS_SESSION = {"auth.logout"}


@dataclass(frozen=True, slots=True)
class Route:
    """A rule of the URL map with an address."""

    endpoint: str
    address: str
    methods: frozenset[str]

    def counts_for(self, role: str, method: str) -> bool:
        """Whether the role may make a difference; where no view is reached, one stands for all."""
        reaches_a_view = method in self.methods and method != "OPTIONS"
        return reaches_a_view or role == ROLES[-1]


def routes(site: Site, methods: set[str]) -> list[Route]:
    """Return every rule that takes one of the methods."""
    values = {
        "job_id": "q1",
        "node_id": 1,
        "user_id": 1,
        "kind": "remote",
        "study_instance_uid": "1.2",
        "filename": "live.js",
        "node": "1",
        "job": "q1",
        "query_id": "q1",
        "study": "1.2",
        "dead_letter": "0",
        "comparison": "c1",
        "comparison_id": "c1",
        "schedule": "1",
        "schedule_id": 1,
        "list_id": "l1",
        "study_list": "l1",
        "address": "1",
        "address_id": 1,
    }
    adapter = site.app.url_map.bind("localhost")
    found = []
    for rule in site.app.url_map.iter_rules():
        if rule.endpoint in STREAMS or not methods & (rule.methods or set()):
            continue
        arguments = {name: values[name] for name in rule.arguments}
        taken = frozenset(rule.methods or ())
        address = adapter.build(rule.endpoint, arguments, method=next(iter(methods & taken)))
        found.append(Route(rule.endpoint, address, taken))
    return sorted(found, key=lambda route: (route.endpoint in ENDS_SESSION, route.endpoint, route.address))


def rows(site: Site) -> dict[str, list[Any]]:
    """Return every row of every table."""
    with site.database.engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        return {
            table.name: sorted(connection.execute(table.select()).all(), key=repr)
            for table in Base.metadata.sorted_tables
            if table.name in tables
        }


@pytest.fixture
def jobs(site: Site) -> Site:
    site.listen_all()
    site.add(a_query("q1", studies_kept=1), a_study("1.2", "q1"), a_retrieve("r1", "q1"))
    plan_nightly(site.database, NOW, store="archive")
    where = {"name": "team", "sealed": "", "shown": "slack://…", "kinds": ["store"], "outcomes": []}
    site.add(NotificationAddress(owner_id=None, created_at=NOW, **where))
    return site


def person(site: Site, role: str) -> Person:
    return site.person(role) if role else site.person()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method", SAFE)
def test_a_safe_method_changes_no_row_and_publishes_nothing(jobs, role, method):
    # Given
    visitor = person(jobs, role)
    before = rows(jobs)
    # When: with the token, as a page of the same site could
    token = visitor.token()
    sent = {**FORM, "csrf_token": token}
    for route in routes(jobs, UNSAFE | {"GET"}):
        if route.counts_for(role, method):
            visitor.client.open(
                route.address, method=method, query_string=sent, headers={"X-CSRFToken": token}
            ).close()
    # Then
    assert rows(jobs) == before
    assert jobs.commands == []


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method", sorted(UNSAFE))
def test_without_its_token_no_request_changes_a_row(jobs, role, method):
    # Given
    visitor = person(jobs, role)
    before = rows(jobs)
    # When
    statuses = {
        route.endpoint: visitor.client.open(route.address, method=method, data=FORM).status_code
        for route in routes(jobs, UNSAFE | {"GET"})
        if route.counts_for(role, method)
    }
    # Then
    assert rows(jobs) == before
    assert jobs.commands == []
    assert set(statuses.values()) <= {302, 400, 401, 403, 404, 405}


def test_each_route_either_reads_or_changes(site):
    mixed = [
        rule.endpoint
        for rule in site.app.url_map.iter_rules()
        if UNSAFE & (rule.methods or set()) and {"GET", "HEAD"} & (rule.methods or set())
    ]
    assert mixed == []


def test_a_viewer_changes_nothing_but_their_own_session(jobs):
    # Given
    viewer = jobs.person("viewer")
    before = rows(jobs)
    # When
    for route in routes(jobs, UNSAFE):
        if route.endpoint not in ENDS_SESSION:
            viewer.post(route.address, FORM)
    # Then
    after = rows(jobs)
    assert {name: after[name] for name in after if after[name] != before[name]} == {}
    assert jobs.commands == []


def test_an_importer_changes_no_node_and_no_user(jobs):
    # Given
    importer = jobs.person("importer")
    before = rows(jobs)
    # When
    for route in routes(jobs, UNSAFE):
        if route.endpoint not in ENDS_SESSION:
            importer.post(route.address, FORM)
    # Then
    after = rows(jobs)
    assert (after["users"], after["nodes"]) == (before["users"], before["nodes"])
