"""Definitions for RabbitMQ: what services declare, and users with least rights."""

from __future__ import annotations

import re

import pytest

from shared.broker.definitions import ROLES, definitions, permissions_of, user_of
from shared.broker.topology import QUEUES, Names, topic_matches
from shared.contract.messages import COMMANDS, EVENTS
from shared.contract.schemas import routing_keys

NAMES = Names("site-1")
ROLE = {role.name: role for role in ROLES}


def test_definitions_hold_all_exchanges_queues_and_bindings():
    # When
    found = definitions(NAMES, "/dose", {})
    # Then
    assert {entry["name"] for entry in found["exchanges"]} == {
        "site-1.commands",
        "site-1.events",
        "site-1.dead",
    }
    assert {entry["name"] for entry in found["queues"]} == {
        "site-1.dead-letters",
        *(f"site-1.{spec.name}" for spec in QUEUES),
    }
    bound = {(entry["source"], entry["destination"], entry["routing_key"]) for entry in found["bindings"]}
    assert ("site-1.commands", "site-1.query", "cancel") in bound
    assert ("site-1.events", "site-1.store", "objects.stored.#") in bound
    assert ("site-1.dead", "site-1.dead-letters", "#") in bound
    assert "users" not in found


def test_users_come_only_with_their_hashes():
    # When
    found = definitions(NAMES, "/", {"site-1-echo": "hash"})
    # Then
    assert [entry["name"] for entry in found["users"]] == ["site-1-echo"]
    assert {entry["user"] for entry in found["permissions"] + found["topic_permissions"]} == {"site-1-echo"}


def test_no_service_may_configure_the_topology():
    for role in ROLES:
        configure = permissions_of(NAMES, role).configure
        assert not any(re.search(configure, name) for name in (*NAMES.exchanges, *NAMES.queues))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_service_reads_its_own_queues_only(role):
    # When
    read = permissions_of(NAMES, role).read
    # Then
    readable = {queue for queue in NAMES.queues if re.search(read, queue)}
    assert readable == {NAMES.queue(queue) for queue in role.queues}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_who_counts_messages_has_a_permission_on_each_queue(role):
    # When
    write = permissions_of(NAMES, role).write
    # Then: from 4.2.6 on RabbitMQ wants one for a passive declaration
    known = {queue for queue in NAMES.queues if re.search(write, queue)}
    assert known == (set(NAMES.queues) if role.name in {"web", "operator"} else set())


def test_each_queue_is_read_by_one_service():
    for spec in QUEUES:
        assert len([role for role in ROLES if spec.name in role.queues]) == 1


def test_workers_publish_no_command_but_their_tasks():
    # Given
    keys = [command.ROUTING_KEY for command in COMMANDS]
    # When
    allowed = {
        name: {key for key in [*keys, "task.query", "task.retrieve"] if re.search(role.commands, key)}
        for name, role in ROLE.items()
    }
    # Then
    assert allowed["echo"] == allowed["store"] == set()
    assert allowed["query"] == {"task.query", "retrieve"}
    assert allowed["retrieve"] == {"task.retrieve"}
    assert allowed["web"] == allowed["operator"] == {*keys, "task.query", "task.retrieve"}


def test_every_event_may_be_published_by_some_service():
    for event in EVENTS:
        for key in routing_keys(event):
            published = key.replace("{id}", "x")
            published += "." if "." not in published else ""
            assert any(re.search(permissions_of(NAMES, role).write_events, published) for role in ROLES), key
            assert topic_matches("#", key)


def test_a_prefix_with_special_characters_stays_a_name():
    assert user_of(Names("a-b_c"), ROLE["echo"]) == "a-b_c-echo"
    assert permissions_of(Names("a-b_c"), ROLE["echo"]).configure == r"^(amq\.gen.*)$"
    assert r"a\-b_c\.echo" in permissions_of(Names("a-b_c"), ROLE["echo"]).read


def test_only_people_and_the_page_may_control_workers():
    # When
    control = {
        role.name for role in ROLES if re.search(permissions_of(NAMES, role).write_events, "control.drain")
    }
    listeners = {role.name for role in ROLES if role.listens}
    # Then
    assert control == {"web", "operator"}
    assert listeners == set(ROLE)


@pytest.mark.parametrize("name", ["echo", "query", "store"])
def test_a_service_listens_to_control_messages_alone(name):
    # When
    read = permissions_of(NAMES, ROLE[name]).read_events
    # Then
    assert re.search(read, "control.*")
    assert not any(re.search(read, key) for key in ("#", "*.*", "query.completed.*", "worker.heartbeat"))
