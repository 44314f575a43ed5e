"""A node that speaks DICOMweb is entered by its address; secrets are named by files, and never held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.clock import utc_now
from shared.database.models.web import Node
from shared.errors import InvalidInputError
from shared.nodes.nodes import node_attributes, parse_node
from shared.nodes.peers import address_of, peer_of
from shared.settings import Settings

WEB = {"kind": "remote", "name": "web", "protocol": "dicomweb", "web_url": "https://pacs/dicom-web/"}
OAUTH = {
    "web_authentication": "oauth",
    "web_user": "doseqr",
    "web_secret_file": "secret",
    "web_token_url": "https://login/token",
}


def node_of(**given: Any) -> Node:
    parsed = parse_node(WEB | given)
    columns = {name: value for name, value in parsed.model_dump().items() if value is not None}
    return Node(
        id=7,
        created_at=utc_now(),
        **columns | {"ae_title": str(parsed.ae_title), "calling_ae_title": ""},
    )


def test_the_address_is_all_that_is_needed():
    # When
    node = parse_node(WEB)
    # Then
    assert (node.host, node.port, node.tls, node.retrieve_by) == ("pacs", 443, "on", "get")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"web_url": ""}, "web_url must be the address"),
        ({"web_url": "https://user:x@pacs/"}, "must hold no user"),
        ({"web_authentication": "bearer"}, "web_secret_file must not be empty"),
        ({"web_authentication": "basic", "web_secret_file": "x"}, "web_user must not be empty"),
        ({"web_authentication": "basic", "web_user": "a:b", "web_secret_file": "x"}, "colon"),
        ({**OAUTH, "web_token_url": ""}, "web_token_url must not be empty"),
        ({"web_secret_file": "x"}, "does not belong"),
        ({"web_authentication": "bearer", "web_secret_file": "../x"}, "must be the name of a file"),
        ({"web_timeout_s": "0"}, "must be at least 1"),
        ({"kind": "store"}, "is for remote nodes only"),
    ],
)
def test_what_does_not_fit_is_refused(given, problem):
    with pytest.raises(InvalidInputError, match=problem):
        parse_node(WEB | given)


def test_a_dimse_node_has_nothing_of_dicomweb():
    given = {"kind": "remote", "name": "x", "host": "h", "port": 104, "ae_title": "A", "web_url": "http://h"}
    with pytest.raises(InvalidInputError, match="protocol dicomweb only"):
        parse_node(given)


def test_a_node_leads_to_a_peer_with_paths_of_secrets(tmp_path: Path):
    # Given
    settings = Settings(data_dir=tmp_path)
    node = node_of(**OAUTH, web_qido_url="https://pacs/qido", web_timeout_s="30")
    # When
    peer = peer_of(node, settings)
    # Then
    assert peer.web is not None
    assert (peer.web.qido_url, peer.web.wado_url) == ("https://pacs/qido", "https://pacs/dicom-web")
    assert peer.web.secret_file == str(settings.node_secrets_dir / "secret")
    assert peer.tls is not None
    assert peer.tls.check_name
    assert address_of(peer) == "https://pacs/qido https://pacs/dicom-web"
    assert address_of(peer_of(node_of(), settings)) == "https://pacs/dicom-web"


def test_a_node_is_edited_by_its_own_attributes():
    node = node_of(**OAUTH)
    assert parse_node(node_attributes(node) | {"name": "other"}).web_token_url == "https://login/token"
