"""What is known of a node: shown, measured and forgotten on its page."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contract.messages import NodeProfiled, ProfileNode, Rejected
from shared.database.models import Node, NodeProfile
from shared.nodes.peers import address_of, peer_of
from shared.querying.profile import Profile
from tests.support.jobs.rows import NOW
from tests.support.services.web import Site
from tests.support.waiting import wait_until

PAGE = "/nodes/1/profile"


def remember(site: Site, **fields: Any) -> None:
    """Write what is known of the node."""
    with site.database.read() as session:
        address = address_of(peer_of(session.get_one(Node, 1), site.settings))
    data = Profile(**fields).to_json()
    site.add(NodeProfile(node_id=1, address=address, data=data, updated_at=NOW))


def notify(site: Site, command_id: str, **fields: Any) -> None:
    """Tell how a measurement ended, as the query service does."""
    defaults: dict[str, Any] = {"node_id": 1, "node": "pacs", "ok": True, "outcome": "answers", "profile": {}}
    event = NodeProfiled(command_id=command_id, **defaults | fields)
    site.publisher.event(event, "profile", command_id)
    wait_until(lambda: site.components.live.event_results.profiled(command_id) is not None)


def test_a_profile_is_shown_as_text(site):
    # Given
    remember(site, cap=100, modalities_matched=True)
    # When
    page = site.person("importer").text(PAGE)
    # Then
    assert "100 matches" in page
    assert "not measured" in page
    assert "4 associations at once, any number of requests, at any hour" in page


def test_an_administrator_has_it_measured_and_sees_the_result(site):
    # Given
    site.listen_all()
    person = site.person("admin")
    # When
    response = person.post(PAGE)
    command_id, command = site.command()
    waiting = person.text(response.location)
    notify(site, command_id, requests=14)
    done = person.text(f"{PAGE}/status?asked={command_id}")
    # Then
    assert command == ProfileNode(node=1, requested_by="admin")
    assert response.location == f"{PAGE}?asked={command_id}"
    assert "Asking pacs" in waiting
    assert 'data-every="2"' in waiting
    assert "Measured with 14 requests." in done
    assert "data-every" not in done


def test_what_is_known_is_forgotten(site):
    # Given
    site.listen_all()
    remember(site, cap=100)
    # When
    site.person("admin").post(PAGE, {"forget": "yes"})
    # Then
    assert site.command()[1] == ProfileNode(node=1, measure=False, forget=True, requested_by="admin")


def test_a_measurement_received_by_another_process_is_shown(site):
    # Given
    remember(site, measured_at="2024-05-01T12:00:00+00:00", measured_by="asked-1")
    # When
    page = site.person("importer").text(f"{PAGE}?asked=asked-1")
    # Then
    assert "Asking pacs" not in page


def test_a_failed_measurement_is_shown_with_its_reason(site):
    # Given
    notify(site, "asked-1", ok=False, outcome="connection refused", detail="nobody listens")
    # When
    page = site.person("importer").text(f"{PAGE}?asked=asked-1")
    # Then
    assert "pacs could not be measured: connection refused. nobody listens" in page


def test_a_refused_command_is_shown(site):
    # Given
    event = Rejected(command_id="asked-1", field="data.node", problem="there is no such node")
    site.publisher.event(event, "command", "asked-1")
    wait_until(lambda: site.components.live.event_results.rejection("asked-1") is not None)
    # When / Then
    assert "there is no such node" in site.person("importer").text(f"{PAGE}?asked=asked-1")


def test_without_a_query_worker_it_names_the_command_to_start(site):
    # When
    page = site.person("admin").text(f"{PAGE}?asked=asked-1")
    # Then
    assert "doseqr serve query" in page


def test_importers_read_profiles_and_do_not_measure(site):
    # Given
    person = site.person("importer")
    # When
    page, response = person.text(PAGE), person.post(PAGE)
    # Then
    assert "Measure</button>" not in page
    assert response.status_code == 403


@pytest.mark.parametrize("node_id", [2, 99])
def test_only_remote_nodes_have_a_profile(site, node_id):
    assert site.person("admin").get(f"/nodes/{node_id}/profile").status_code == 404


def test_a_viewer_sees_no_profile(site):
    assert site.person("viewer").get(PAGE).status_code == 403
