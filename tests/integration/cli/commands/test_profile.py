"""`doseqr profile`: what is known of a node, and measuring it."""

from __future__ import annotations

import pytest

from shared.contract.messages import ProfileNode
from shared.database.models import NodeProfile
from shared.database.session import Database
from shared.nodes.nodes import find_node
from shared.nodes.peers import address_of, peer_of
from shared.querying.profile import Profile
from tests.support.jobs.rows import NOW
from tests.support.services.cli import Doseqr
from tests.support.services.fake_services import FakeServices, Script


def remember(doseqr: Doseqr, profile: Profile) -> None:
    """Write what is known of the node `pacs`."""
    with Database(doseqr.settings.database).write() as session:
        node = find_node(session, "pacs")
        address = address_of(peer_of(node, doseqr.settings))
        session.add(NodeProfile(node_id=node.id, address=address, data=profile.to_json(), updated_at=NOW))


def test_a_profile_is_shown_without_any_service(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    remember(doseqr, Profile(modalities_matched=True, cap=100))
    # When
    printed, read = doseqr("profile", "pacs"), doseqr("profile", "2", "--json")
    # Then
    assert (printed.code, read.code) == (0, 0)
    assert "Stops at\t100 matches\t" in printed.out
    assert "Relational queries\tnot measured\t" in printed.out
    fields = {field["name"]: field for field in read.json["fields"]}
    assert (fields["cap"]["value"], fields["cap"]["measured"]) == (100, True)
    assert (fields["relational"]["value"], fields["relational"]["measured"]) == (None, False)
    assert (read.json["node"], read.json["node_id"]) == ("pacs", 2)
    assert (read.json["address"], read.json["measured_at"]) == ("127.0.0.1:104 PACS DOSEQR", None)


def test_a_node_of_which_nothing_is_known_is_shown_as_such(doseqr: Doseqr) -> None:
    # Given
    doseqr.with_nodes()
    # When
    result = doseqr("profile", "pacs")
    # Then
    assert result.code == 0
    assert "Nothing is known of it yet" in result.out


@pytest.mark.parametrize(
    ("options", "measure", "forget"),
    [
        (("--measure",), True, False),
        (("--forget",), False, True),
        (("--measure", "--forget"), True, True),
    ],
)
def test_measuring_and_forgetting_are_ordered(
    doseqr: Doseqr, services: FakeServices, options: tuple[str, ...], measure: bool, forget: bool
) -> None:
    # Given
    doseqr.with_nodes()
    # When
    result = doseqr("profile", "pacs", *options, "--json")
    # Then
    assert result.code == 0
    command = services.commands[-1]
    assert isinstance(command, ProfileNode)
    assert (command.node, command.measure, command.forget) == (2, measure, forget)
    assert command.requested_by
    assert ("got 7 requests" in result.err) == measure


def test_a_node_that_is_away_ends_with_3(doseqr: Doseqr, services: FakeServices, script: Script) -> None:
    # Given
    doseqr.with_nodes()
    script.outcomes["pacs"] = "connection refused"
    # When
    result = doseqr("profile", "pacs", "--measure", "--json")
    # Then
    assert result.code == 3
    assert result.json["error"]["code"] == "remote_unreachable"
    assert result.json["error"]["outcome"] == "connection refused"


def test_without_a_query_worker_the_error_names_what_to_start(doseqr: Doseqr, services: FakeServices) -> None:
    # Given
    doseqr.with_nodes()
    services.stop_service("query")
    # When
    result = doseqr("profile", "pacs", "--measure")
    # Then
    assert result.code == 4
    assert "doseqr serve query" in result.err


@pytest.mark.parametrize("node", ["nowhere", "archive", "1"])
def test_only_remote_nodes_have_a_profile(doseqr: Doseqr, node: str) -> None:
    # Given
    doseqr.with_nodes()
    # When
    result = doseqr("profile", node, "--json")
    # Then
    assert (result.code, result.json["error"]["field"]) == (2, "node")
