"""Nodes and users: add, edit, test, remove."""

from __future__ import annotations

import re

import pytest

from shared.contract.messages import EchoNodes
from shared.database.models import Node, User
from shared.nodes.nodes import ensure_own_store, list_nodes
from shared.users.accounts import find_user
from tests.support.jobs.rows import NOW
from tests.support.services.web import Site

NODE = {"name": "ct-archive", "host": "archive.example.org", "port": "11112", "ae_title": "ARCHIVE"}


def nodes(site: Site, kind: str | None = None) -> list[str]:
    with site.database.read() as session:
        return [node.name for node in list_nodes(session, kind)]


def test_a_node_is_added(site):
    # When
    response = site.person("admin").post("/nodes/add/remote", {**NODE, "calling_ae_title": "DOSEQR2"})
    # Then
    assert response.status_code == 302
    assert nodes(site, "remote") == ["pacs", "ct-archive"]


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"port": "70000"}, "port", "Must be a whole number from 1 to 65535."),
        ({"port": "abc"}, "port", "Must be a whole number from 1 to 65535."),
        ({"port": ""}, "port", "Must be a whole number from 1 to 65535."),
        ({"ae_title": "A" * 17}, "ae_title", "Must have at most 16 characters."),
        ({"ae_title": "BACK\\SLASH"}, "ae_title", "no backslash"),
        ({"host": "not a host"}, "host", "Must be a host name or an IP address."),
        ({"name": ""}, "name", "Must have 1 to 64 characters."),
        ({"name": "pacs"}, "name", "There is already a remote node of this name."),
        ({"name": "PACS"}, "name", "Differs from the node pacs in nothing but case."),
        ({"calling_ae_title": "B" * 17}, "calling_ae_title", "Must have at most 16 characters."),
    ],
)
def test_what_is_wrong_with_a_node_stands_at_its_field(site, changes, field, problem):
    # When
    response = site.person("admin").post("/nodes/add/remote", {**NODE, **changes})
    # Then
    assert response.status_code == 422
    assert problem in response.text
    assert f'href="#{field}"' in response.text
    assert nodes(site) == ["pacs", "archive"]


def test_all_problems_of_a_node_are_shown_together(site):
    # When
    response = site.person("admin").post("/nodes/add/remote", {**NODE, "port": "70000", "ae_title": "A" * 17})
    # Then
    assert 'href="#port"' in response.text
    assert 'href="#ae_title"' in response.text


def test_a_new_node_is_tested_by_itself(site):
    # Given
    site.listen("echo")
    # When
    response = site.person("admin").post("/nodes/add/remote", NODE)
    # Then
    echo_id, command = site.command()
    assert command == EchoNodes(nodes=[3])
    assert response.location == f"/nodes?echo={echo_id}&node=3"


def test_the_same_node_again_is_not_called_added(site):
    # Given
    person = site.person("admin")
    person.post("/nodes/add/remote", NODE)
    # When
    person.post("/nodes/add/remote", NODE)
    page = person.text("/nodes")
    # Then
    assert "There is such a node already: ct-archive." in page
    assert nodes(site, "remote") == ["pacs", "ct-archive"]


def test_a_node_is_edited(site):
    # Given
    person = site.person("admin")
    # When
    page = person.text("/nodes/1/edit")
    response = person.post("/nodes/1/edit", {**NODE, "name": "main pacs"})
    # Then
    assert 'value="pacs"' in page
    assert response.status_code == 302
    assert nodes(site, "remote") == ["main pacs"]


def test_an_edit_to_a_taken_name_is_refused(site):
    # When
    response = site.person("admin").post("/nodes/1/edit", {**NODE, "name": "archive"})
    # Then
    assert "There is already a store node of this name." in response.text


def test_a_node_is_removed_after_a_question(site):
    # Given
    person = site.person("admin")
    # When
    question = person.text("/nodes/1/remove")
    person.post("/nodes/1/remove")
    # Then
    assert "Remove pacs?" in question
    assert nodes(site) == ["archive"]
    assert person.get("/nodes/1/edit").status_code == 404
    with site.database.read() as session:
        assert session.get(Node, 1).removed_at is not None


def test_the_own_store_stays_and_the_page_explains_it(site):
    # Given
    with site.database.write() as session:
        own_id = ensure_own_store(session, site.components.settings, NOW).id
    person = site.person("admin")
    # When
    page = person.text(f"/nodes/{own_id}/remove")
    response = person.post(f"/nodes/{own_id}/remove")
    # Then
    assert "It cannot be removed" in page
    assert (response.status_code, "It cannot be removed" in response.text) == (409, True)
    assert f"/nodes/{own_id}/remove" not in person.text("/nodes")
    assert "doseqr" in nodes(site)


def test_one_node_is_tested_by_message(site):
    # Given
    site.listen("echo")
    # When
    response = site.person("importer").post("/nodes/echo", {"node": "2"})
    echo_id, command = site.command()
    # Then
    assert command == EchoNodes(nodes=[2])
    assert response.location == f"/nodes?echo={echo_id}&node=2"
    assert site.person("importer").text(response.location).count("Testing…") == 1


def test_importers_see_nodes_and_change_none(site):
    # When
    page = site.person("importer").text("/nodes")
    # Then
    assert "pacs" in page
    assert "/edit" not in page
    assert "/remove" not in page


def test_a_new_user_gets_a_one_time_password(site):
    # Given
    person = site.person("admin")
    # When
    response = person.post("/users", {"name": "eve", "role": "importer"})
    password = response.text.split('id="one-time-password">')[1].split("<")[0]
    # Then
    assert site.person().log_in("eve", password).location == "/"
    with site.database.read() as session:
        assert find_user(session, "eve").must_change_password


def test_a_user_of_a_taken_name_is_refused(site):
    # When
    response = site.person("admin").post("/users", {"name": "viewer", "role": "viewer"})
    # Then
    assert "There is already a user of this name." in response.text


def test_users_are_disabled_and_enabled_and_get_another_role(site):
    # Given
    person = site.person("admin")
    # When
    person.post("/users/1/disable")
    refused = site.person().log_in("viewer")
    person.post("/users/1/enable")
    person.post("/users/1/role", {"role": "importer"})
    # Then
    assert refused.status_code == 422
    assert site.person("viewer").get("/imports/query").status_code == 200
    with site.database.read() as session:
        assert session.get(User, 1).role == "importer"


LIMITS = {
    "max_associations": "2",
    "requests_per_minute": "120",
    "hours": "18:00-06:00, 12:00-13:00",
    "time_zone": "Europe/Berlin",
}


def test_limits_of_a_node_are_edited(site):
    # Given
    person = site.person("admin")
    # When
    response = person.post("/nodes/1/edit", {**NODE, **LIMITS})
    page = person.text("/nodes/1/edit")
    # Then
    assert response.status_code == 302
    with site.database.read() as session:
        node = session.get_one(Node, 1)
    assert (node.max_associations, node.requests_per_minute) == (2, 120)
    assert (node.hours, node.time_zone) == ("18:00-06:00,12:00-13:00", "Europe/Berlin")
    assert 'value="18:00-06:00,12:00-13:00"' in page


def test_the_way_of_retrieving_is_chosen_for_a_node(site):
    # Given
    person = site.person("admin")
    # When
    person.post("/nodes/1/edit", {**NODE, "retrieve_by": "get"})
    page = person.text("/nodes/1/edit")
    wrong = person.post("/nodes/1/edit", {**NODE, "retrieve_by": "mail"})
    # Then
    with site.database.read() as session:
        assert session.get_one(Node, 1).retrieve_by == "get"
    assert re.search(r'<input checked[^>]* value="get"', page)
    assert wrong.status_code == 422
    assert 'href="#retrieve_by"' in wrong.text
    assert "Fetched with C-GET" in person.text("/nodes/1/profile")


def test_a_new_node_is_retrieved_from_by_c_move(site):
    # Given
    person = site.person("admin")
    # When
    page = person.text("/nodes/add/remote")
    person.post("/nodes/add/remote", NODE)
    person.post("/nodes/add/remote", {**NODE, "name": "other", "retrieve_by": "get"})
    # Then
    assert re.search(r'<input checked[^>]* value="move"', page)
    with site.database.read() as session:
        ways = {node.name: node.retrieve_by for node in list_nodes(session, "remote")}
    assert ways == {"pacs": "move", "ct-archive": "move", "other": "get"}


def test_an_edit_that_does_not_speak_of_how_objects_come_leaves_it(site):
    # Given
    person = site.person("admin")
    person.post("/nodes/1/edit", {**NODE, "retrieve_by": "get"})
    # When
    person.post("/nodes/1/edit", {**NODE, "name": "renamed"})
    # Then
    with site.database.read() as session:
        assert session.get_one(Node, 1).retrieve_by == "get"


def test_the_proof_of_arrival_is_chosen_for_a_store(site):
    # Given
    person = site.person("admin")
    before = person.text("/nodes/2/edit")
    # When
    person.post("/nodes/2/edit", {**NODE, "verify_by": "commitment"})
    person.post("/nodes/2/edit", {**NODE, "name": "renamed"})
    page = person.text("/nodes/2/edit")
    wrong = person.post("/nodes/2/edit", {**NODE, "verify_by": "magic"})
    # Then
    with site.database.read() as session:
        assert session.get_one(Node, 2).verify_by == "commitment"
    assert re.search(r'<input checked[^>]* value="auto"', before)
    assert re.search(r'<input checked[^>]* value="commitment"', page)
    assert wrong.status_code == 422
    assert 'href="#verify_by"' in wrong.text
    assert "verify_by" not in person.text("/nodes/1/edit")
    assert person.text("/nodes").count("Asked for storage commitment") == 1


@pytest.mark.parametrize("node_id", [1, 2])
def test_tls_is_set_on_the_page_and_stays(site, node_id):
    # Given
    person = site.person("admin")
    given = {"tls": "on", "tls_ca": "pacs.pem", "tls_certificate": "us.pem", "tls_key": ""}
    # When
    person.post(f"/nodes/{node_id}/edit", NODE | given)
    person.post(f"/nodes/{node_id}/edit", {**NODE, "name": "renamed"})
    page = person.text(f"/nodes/{node_id}/edit")
    wrong = person.post(f"/nodes/{node_id}/edit", {**NODE, "tls_ca": "a/b.pem"})
    # Then
    with site.database.read() as session:
        node = session.get_one(Node, node_id)
        assert {name: getattr(node, name) for name in given} == given
    assert re.search(r'<input checked[^>]* value="on"', page)
    assert 'value="pacs.pem"' in page
    assert wrong.status_code == 422
    assert 'href="#tls_ca"' in wrong.text


def test_limits_that_are_emptied_are_gone(site):
    # Given
    person = site.person("admin")
    person.post("/nodes/1/edit", {**NODE, **LIMITS})
    # When
    person.post("/nodes/1/edit", {**NODE, **dict.fromkeys(LIMITS, "")})
    # Then
    with site.database.read() as session:
        node = session.get_one(Node, 1)
    assert (node.max_associations, node.requests_per_minute, node.hours, node.time_zone) == (4, None, "", "")


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"max_associations": "0"}, "max_associations", "Must be at least 1."),
        ({"max_associations": "many"}, "max_associations", "Must be a whole number."),
        ({"requests_per_minute": "6001"}, "requests_per_minute", "Must be at most 6000."),
        ({"hours": "evenings"}, "hours", "Must be hours of the day such as"),
        ({"time_zone": "Berlin/Europe"}, "time_zone", "Must be a time zone of the IANA database"),
    ],
)
def test_invalid_limits_are_reported_at_their_field(site, changes, field, problem):
    # When
    response = site.person("admin").post("/nodes/add/remote", {**NODE, **LIMITS, **changes})
    # Then
    assert response.status_code == 422
    assert problem in response.text.split(f'data-error-of="{field}"')[1].split("</div>")[0]


def test_a_store_node_has_no_limits(site):
    # Given
    person = site.person("admin")
    # When
    page = person.text("/nodes/add/store")
    response = person.post("/nodes/add/store", {**NODE, **LIMITS})
    # Then
    assert "Associations at once" not in page
    assert "C-GET" not in page
    assert response.status_code == 302


def test_a_node_is_paused_and_resumed_on_the_page(site):
    # Given
    admin = site.person("admin")
    # When
    paused = admin.post("/nodes/1/pause", follow_redirects=True).text
    # Then
    assert "Paused by admin since" in paused
    assert 'action="/nodes/1/resume"' in paused
    assert 'action="/nodes/1/resume"' not in site.person("importer").text("/nodes")
    # When
    resumed = admin.post("/nodes/1/resume", follow_redirects=True).text
    # Then
    assert "Paused by" not in resumed
    assert admin.post("/nodes/99/pause").status_code == 404
