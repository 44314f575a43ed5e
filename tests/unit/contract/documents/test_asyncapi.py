"""The AsyncAPI document: whole, and each command with what follows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from shared.contract.documents.asyncapi import ASYNCAPI_VERSION, REPLIES, asyncapi
from shared.contract.messages import COMMANDS, EVENTS
from shared.contract.reasons import Reason
from shared.contract.schemas import routing_keys
from tests.golden.examples import messages


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document with the examples of the golden files."""
    examples = {kind: json.loads(message.body) for kind, message in messages().items()}
    return asyncapi(ASYNCAPI_VERSION, examples)


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str):
            yield reference
        for entry in value.values():
            yield from references(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from references(entry)


def resolved(document: dict[str, Any], reference: str) -> object:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_every_reference_leads_somewhere(document):
    # When
    inner = {reference for reference in references(document) if reference.startswith("#")}
    # Then
    assert len(inner) > 40
    assert all(resolved(document, reference) for reference in inner)


def test_each_message_has_example_headers_and_format(document):
    for kind, message in document["components"]["messages"].items():
        assert message["examples"][0]["payload"]["type"] == kind
        assert message["headers"]
        assert message["correlationId"]
        assert message["payload"]["schemaFormat"] == "application/schema+json;version=2020-12"


def test_each_command_names_the_events_that_follow(document):
    # Given
    assert set(REPLIES) == set(COMMANDS)
    for command in COMMANDS:
        # When
        reply = document["operations"][f"do{command.__name__}"]["reply"]
        # Then
        names = [reference["$ref"].rpartition("/")[2] for reference in reply["messages"]]
        # Each worker takes a copy of a control message: nobody rejects it for all.
        assert ("Rejected" in names) == (command.EXCHANGE == "commands")
        assert len(names) == len(set(names)) == len(REPLIES[command])


def test_every_channel_belongs_to_an_operation(document):
    # When
    used = {operation["channel"]["$ref"] for operation in document["operations"].values()}
    used |= {
        operation["reply"]["channel"]["$ref"]
        for operation in document["operations"].values()
        if "reply" in operation
    }
    # Then
    assert {f"#/channels/{name}" for name in document["channels"]} == used
    assert len(document["operations"]) == len(COMMANDS) + sum(len(routing_keys(event)) for event in EVENTS)


def test_all_reason_codes_are_listed_once(document):
    # When
    codes = [entry["const"] for entry in document["components"]["schemas"]["reason"]["oneOf"]]
    # Then
    assert sorted(codes) == sorted(str(reason) for reason in Reason)
