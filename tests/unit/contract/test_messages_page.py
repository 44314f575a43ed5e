"""What docs/messages.md describes is what the code does."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from shared.broker.topology import DEAD_LETTERS, DELIVERY_LIMIT, QUEUES, REASON_HEADER, Names
from shared.contract.messages import COMMANDS, ENDED, EVENTS, Command, Event, Payload
from shared.contract.schemas import routing_keys

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLE = DOCS / "examples" / "follow_a_query.py"
PAGE = (DOCS / "messages.md").read_text(encoding="utf-8")


def cells_of(payload: type[Payload]) -> list[str]:
    """Return the cells of a message's only row in the tables."""
    head = f"| [`{payload.TYPE}`]"
    (row,) = (line for line in PAGE.splitlines() if line.startswith(head))
    return [cell.strip() for cell in row.strip("|").split("|")]


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_each_command_is_documented_with_its_routing_key_and_fields(command: type[Command]):
    # When
    _, routing_key, required, optional, what = cells_of(command)
    # Then
    assert names_in(routing_key) == [command.ROUTING_KEY]
    fields = command.model_fields
    assert names_in(required) == [name for name in fields if fields[name].is_required()]
    assert names_in(optional) == [name for name in fields if not fields[name].is_required()]
    assert what == command.__doc__


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_each_event_is_documented_with_its_routing_keys_and_fields(event: type[Event]):
    # When
    _, keys, fields, what = cells_of(event)
    # Then
    assert names_in(keys) == routing_keys(event)
    assert names_in(fields) == list(event.model_fields)
    assert what == event.__doc__


def test_nothing_is_documented_that_is_no_message():
    # When
    documented = set(re.findall(r"doseqr\.(?:command|event)\.[a-z.]+\.v\d+", PAGE))
    # Then
    assert documented == {payload.TYPE for payload in (*COMMANDS, *EVENTS)}


def test_each_exchange_and_queue_is_documented():
    # Given
    names = Names("doseqr")
    made = {names.commands, names.events, names.dead_letter_exchange, names.queue(DEAD_LETTERS)}
    # When
    (table,) = re.findall(r"\| name \| what it is \|\n(.*?)\n\n", PAGE, re.DOTALL)
    documented = {name for name in names_in(table) if name.startswith("doseqr.")}
    # Then
    assert documented == made | {names.queue(spec.name) for spec in QUEUES}
    assert f"`{REASON_HEADER}`" in PAGE
    assert DELIVERY_LIMIT == 20
    assert "twenty deliveries" in PAGE


def test_each_link_leads_to_a_file():
    # When
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PAGE) if "://" not in link]
    # Then
    assert "asyncapi.json" in links
    assert "examples/follow_a_query.py" in links
    assert all((DOCS / link.partition("#")[0]).is_file() for link in links)


def test_example_needs_nothing_but_pika():
    # When
    tree = ast.parse(EXAMPLE.read_text(encoding="utf-8"))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    # Then
    assert imported - set(sys.stdlib_module_names) == {"pika"}
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))


def test_example_knows_each_end_of_a_job():
    # When
    text = EXAMPLE.read_text(encoding="utf-8")
    # Then
    assert all(f'"{end}"' in text for end in {*ENDED, "rejected"})
