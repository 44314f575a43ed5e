"""A removed node leaves its trace; DoseQR's own store stays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy.orm import Session

from shared.errors import NotFoundError
from shared.nodes.nodes import add_node, ensure_own_store, find_node, list_nodes, parse_node
from shared.nodes.removal import OwnStoreError, remove_node
from shared.settings import Settings

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
PACS = {"kind": "remote", "name": "pacs", "host": "127.0.0.1", "port": 104, "ae_title": "PACS"}


def test_a_removed_node_frees_its_name_and_stays_in_the_table(session: Session) -> None:
    # Given
    node = add_node(session, parse_node(PACS | {"name": "n" * 64}), NOW)
    # When
    remove_node(session, node, Settings(), NOW)
    again = add_node(session, parse_node(PACS | {"name": "n" * 64}), NOW)
    # Then
    assert again.id != node.id
    assert node.name.endswith(f"#removed-{node.id}")
    assert len(node.name) == 64
    assert [n.id for n in list_nodes(session)] == [again.id]
    with pytest.raises(NotFoundError):
        find_node(session, node.id)


def test_an_id_of_a_removed_node_is_refused_with_its_name(session: Session) -> None:
    # Given
    node = add_node(session, parse_node(PACS), NOW)
    add_node(session, parse_node(PACS | {"name": "other"}), NOW)
    # When
    remove_node(session, node, Settings(), NOW)
    # Then
    with pytest.raises(NotFoundError, match="the remote node pacs was removed; known: other"):
        find_node(session, node.id, "remote", "remote")


def test_the_own_store_cannot_be_removed_unless_another_node_is_it(session: Session) -> None:
    # Given
    settings = Settings()
    own = ensure_own_store(session, settings, NOW)
    # When
    with pytest.raises(OwnStoreError, match="own store") as refused:
        remove_node(session, own, settings, NOW)
    # Then
    assert refused.value.field == "node"
    assert own.removed_at is None
    # And where it has two addresses, one may go
    lan = {"kind": "store", "name": "lan", "host": "10.1.1.1", "port": 11112, "ae_title": "DOSEQR"}
    add_node(session, parse_node(lan), NOW)
    remove_node(session, own, settings, NOW)
    assert own.removed_at is not None
