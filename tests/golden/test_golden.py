"""The wire format of every message, and the documents made from the classes, are what is committed."""

from __future__ import annotations

import json

import jsonschema
import pytest

from shared.broker.port import Message
from shared.broker.topology import QUEUES, topic_matches
from shared.contract.messages import COMMANDS, EVENTS
from shared.contract.schemas import message_schema, routing_keys, schemas
from shared.messaging.codec import decode_command, decode_event
from tests.golden.examples import JOB, messages
from tests.golden.write import GOLDEN, documents

ALL = sorted(messages())


@pytest.mark.parametrize("path", sorted(documents()), ids=lambda path: path.name)
def test_a_generated_file_is_what_is_committed(path):
    # Given
    text = documents()[path]
    # Then
    assert path.read_text(encoding="utf-8") == text, "run `make golden` and look at the difference"


def test_every_message_has_an_example():
    assert sorted(payload.TYPE for payload in (*COMMANDS, *EVENTS)) == ALL


@pytest.mark.parametrize("kind", ALL)
def test_a_committed_message_is_still_understood(kind):
    # Given
    body = (GOLDEN / f"{kind}.json").read_bytes()
    message = Message("any", body, "id")
    # When
    decode = decode_command if ".command." in kind else decode_event
    envelope, payload = decode(message)
    # Then
    assert envelope.type == kind
    assert kind == payload.TYPE


@pytest.mark.parametrize("kind", ALL)
def test_an_example_fits_its_schema(kind):
    # Given
    schema = schemas()[kind]
    jsonschema.Draft202012Validator.check_schema(schema)
    # Then
    jsonschema.Draft202012Validator(schema).validate(json.loads(messages()[kind].body))


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.EXCHANGE == "commands"])
def test_a_command_has_a_queue(command):
    assert any(
        topic_matches(binding, command.ROUTING_KEY) for queue in QUEUES for binding in queue.binding_keys
    )


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_travels_under_the_documented_routing_key(event):
    # Given
    documented = [key.replace("{id}", JOB) for key in routing_keys(event)]
    # Then
    assert messages()[event.TYPE].routing_key in documented


def test_criteria_stand_in_the_schema_of_the_query():
    # Given
    query = next(command for command in COMMANDS if command.__name__ == "RunQuery")
    # Then
    assert "date_from" in message_schema(query)["$defs"]["Criteria"]["properties"]
