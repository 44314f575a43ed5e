"""Nodes are validated, unique by name, and found by id or name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.orm import Session

from shared.errors import InvalidInputError, NotFoundError
from shared.nodes.nodes import (
    add_node,
    edit_node,
    ensure_own_store,
    find_node,
    is_own_store,
    list_nodes,
    node_json,
    parse_node,
)
from shared.settings import Settings

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


def attributes(**changes: Any) -> dict[str, Any]:
    return {"kind": "remote", "name": "pacs", "host": "127.0.0.1", "port": 104, "ae_title": "PACS"} | changes


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "archive"),
        ("name", ""),
        ("name", "x" * 65),
        ("name", "two\nlines"),
        ("name", "17"),
        ("name", "old#removed-3"),
        ("host", ""),
        ("host", "not a host"),
        ("host", "-leading.example"),
        ("host", "999.1.1.1"),
        ("port", 0),
        ("port", 65536),
        ("port", "eleven"),
        ("ae_title", ""),
        ("ae_title", "A" * 17),
        ("ae_title", "BACK\\SLASH"),
        ("calling_ae_title", "A" * 17),
        ("colour", "red"),
        ("max_associations", 0),
        ("max_associations", 65),
        ("max_associations", "many"),
        ("requests_per_minute", 0),
        ("requests_per_minute", 6001),
        ("requests_per_minute", "many"),
        ("hours", "18-6"),
        ("hours", 18),
        ("time_zone", "Europe/Atlantis"),
        ("time_zone", "../../etc/passwd"),
    ],
)
def test_a_malformed_value_is_refused_by_the_name_of_its_field(field: str, value: object) -> None:
    # When / Then
    with pytest.raises(InvalidInputError) as refused:
        parse_node(attributes(**{field: value}))
    assert refused.value.field == field


@pytest.mark.parametrize("host", ["10.0.0.1", "::1", "pacs", "pacs.hospital.example", "doseqr_store"])
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    # When / Then
    assert parse_node(attributes(host=host)).host == host


def test_a_store_node_has_no_calling_title() -> None:
    # When / Then
    with pytest.raises(InvalidInputError, match="calling_ae_title"):
        parse_node(attributes(kind="store", calling_ae_title="ME"))


def test_adding_the_same_again_returns_the_same_node(session: Session) -> None:
    # Given
    first = add_node(session, parse_node(attributes()), NOW)
    # When
    second = add_node(session, parse_node(attributes(ae_title=" PACS ", port="104")), NOW)
    # Then
    assert second.id == first.id
    assert len(list_nodes(session)) == 1


def test_a_name_is_unique_over_both_kinds(session: Session) -> None:
    # Given
    add_node(session, parse_node(attributes()), NOW)
    # When / Then
    with pytest.raises(InvalidInputError, match="already a remote node") as refused:
        add_node(session, parse_node(attributes(kind="store")), NOW)
    assert refused.value.field == "name"


@pytest.mark.parametrize("reference", [1, "1", "pacs", " pacs "])
def test_a_node_is_found_by_id_and_by_name(session: Session, reference: int | str) -> None:
    # Given
    node = add_node(session, parse_node(attributes()), NOW)
    # When / Then
    assert find_node(session, reference).id == node.id


@pytest.mark.parametrize("reference", [99, "99", "nowhere", "9" * 40, ""])
def test_an_unknown_node_is_refused_with_the_known_names(session: Session, reference: int | str) -> None:
    # Given
    add_node(session, parse_node(attributes()), NOW)
    # When / Then
    with pytest.raises(NotFoundError, match="pacs") as refused:
        find_node(session, reference, "remote")
    assert isinstance(refused.value, InvalidInputError)
    assert refused.value.field == "remote"


def test_a_node_of_the_other_kind_is_refused(session: Session) -> None:
    # Given
    add_node(session, parse_node(attributes()), NOW)
    # When / Then
    with pytest.raises(InvalidInputError, match="is a remote node, not a store node"):
        find_node(session, "pacs", "store")


def test_an_edited_node_keeps_its_id_and_kind(session: Session) -> None:
    # Given
    node = add_node(session, parse_node(attributes()), NOW)
    # When
    edited = edit_node(session, node, parse_node(attributes(port=11112, calling_ae_title="CALLER")))
    # Then
    assert node_json(edited) == node_json(node) | {"port": 11112, "calling_ae_title": "CALLER"}
    with pytest.raises(InvalidInputError) as refused:
        edit_node(session, node, parse_node(attributes(kind="store")))
    assert refused.value.field == "kind"


def test_the_own_store_is_made_once(session: Session) -> None:
    # Given
    settings = Settings(store_port=11113)
    # When
    first = ensure_own_store(session, settings, NOW)
    second = ensure_own_store(session, settings, NOW)
    # Then
    assert first.id == second.id
    assert (first.name, first.ae_title, first.port) == ("doseqr", "DOSEQR", 11113)
    assert is_own_store(first, settings)


def test_the_own_store_follows_a_changed_port(session: Session) -> None:
    # Given
    first = ensure_own_store(session, Settings(store_port=11113), NOW)
    # When
    second = ensure_own_store(session, Settings(store_port=11114), NOW)
    # Then
    assert (second.id, second.port) == (first.id, 11114)


def test_another_node_of_the_own_stores_name_is_left_alone(session: Session) -> None:
    # Given
    other = add_node(session, parse_node(attributes(name="doseqr", kind="store", host="archive")), NOW)
    # When
    own = ensure_own_store(session, Settings(), NOW)
    # Then
    assert own.name == "doseqr-11112"
    assert (other.host, other.port) == ("archive", 104)


def test_limits_are_kept_in_one_form(session: Session) -> None:
    # Given
    given = attributes(
        max_associations=" 2 ", requests_per_minute="120", hours=" 18:00 - 06:00", time_zone="Europe/Berlin"
    )
    # When
    node = node_json(add_node(session, parse_node(given), NOW))
    # Then
    limits = {"max_associations": 2, "requests_per_minute": 120}
    assert node == node | limits | {"hours": "18:00-06:00", "time_zone": "Europe/Berlin"}


def test_an_edit_that_does_not_speak_of_limits_keeps_them(session: Session) -> None:
    # Given
    node = add_node(session, parse_node(attributes(max_associations=2, requests_per_minute=60)), NOW)
    # When
    edit_node(session, node, parse_node(attributes(port=105)))
    # Then
    assert (node.port, node.max_associations, node.requests_per_minute) == (105, 2, 60)


def test_an_empty_text_takes_the_limit_of_requests_away(session: Session) -> None:
    # Given
    node = add_node(session, parse_node(attributes(requests_per_minute=60)), NOW)
    # When
    edit_node(session, node, parse_node(attributes(requests_per_minute="")))
    # Then
    assert node.requests_per_minute is None


@pytest.mark.parametrize(
    "limit", [{"max_associations": 2}, {"requests_per_minute": 60}, {"hours": "18:00-06:00"}]
)
def test_limits_are_for_remote_nodes_only(limit: dict[str, Any]) -> None:
    # When / Then
    with pytest.raises(InvalidInputError, match=f"{next(iter(limit))} is for remote nodes only"):
        parse_node(attributes(kind="store", **limit))
