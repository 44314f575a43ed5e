"""RabbitMQ's definitions of an installation: topology, policy, users. Pure.

The format is that of `rabbitmqctl export_definitions` (RabbitMQ 3.10 to 4.x).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shared.broker.topology import DEAD_LETTER_ARGUMENTS, DEAD_LETTERS, QUEUES, Names, queue_arguments

#: Bytes of dead letters that are kept; beyond, the oldest go.
DEAD_LETTERS_MAX_BYTES = 256 << 20

_NOTHING = "^$"


#: Binding keys of messages to workers.
_CONTROL = r"^control\..*"


@dataclass(frozen=True, slots=True)
class Role:
    """What a service does at the broker."""

    name: str
    #: Short names of the queues that it consumes or reads.
    queues: tuple[str, ...] = ()
    #: A regular expression of the routing keys of commands that it publishes.
    commands: str = _NOTHING
    #: First words of the routing keys of events that it publishes, besides its heartbeat and rejections.
    topics: tuple[str, ...] = ()
    #: Whether it listens to events, through a queue that the server names.
    listens: bool = False
    #: A regular expression of the binding keys of events to which it may listen.
    binding_keys: str = ".*"
    #: Whether it publishes to the reply queues of other systems.
    replies: bool = False
    #: Whether it counts messages and consumers of every queue.
    counts: bool = False


#: The services, and `operator`: who runs the command line.
ROLES: tuple[Role, ...] = (
    Role("echo", queues=("echo",), topics=("echo",), listens=True, binding_keys=_CONTROL),
    Role(
        "query",
        queues=("query", "query-tasks", "query-profile"),
        commands=r"^(task\.query|retrieve)$",
        # It responds for retrieves, too, and pauses nodes.
        topics=("query", "profile", "retrieve", "node"),
        listens=True,
        binding_keys=_CONTROL,
        replies=True,
    ),
    Role(
        "retrieve",
        queues=("retrieve", "retrieve-tasks"),
        commands=r"^task\.retrieve$",
        topics=("retrieve",),
        listens=True,
    ),
    Role("store", queues=("store",), topics=("objects", "handover"), listens=True, binding_keys=_CONTROL),
    # Only these two control workers, by messages in the exchange of events: so each worker takes a copy.
    Role("web", (DEAD_LETTERS,), ".*", ("node", "control"), listens=True, counts=True),
    Role("operator", (DEAD_LETTERS,), ".*", ("node", "control"), listens=True, counts=True),
)

#: First words of the routing keys of events that every service publishes.
_COMMON_TOPICS = ("worker", "command")


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a user may do, as regular expressions."""

    user: str
    configure: str
    write: str
    read: str
    write_commands: str
    write_events: str
    read_events: str


def user_of(names: Names, role: Role) -> str:
    """Return the name of the user of a role."""
    return f"{names.prefix}-{role.name}"


def permissions_of(names: Names, role: Role) -> Permissions:
    """Return the least rights with which a service works where the topology stands already."""
    own = [r"amq\.gen.*"] if role.listens else []
    publishes = [re.escape(names.events), re.escape(names.dead_letter_exchange)]
    if role.commands != _NOTHING:
        publishes.append(re.escape(names.commands))
    if role.replies:
        publishes.append(r"amq\.default")
    if role.counts:
        # From 4.2.6 on, RabbitMQ wants some permission for a passive declaration; this one takes no message.
        publishes += map(re.escape, names.queues)
    reads = [re.escape(names.queue(queue)) for queue in role.queues]
    if role.listens:
        reads.append(re.escape(names.events))
    return Permissions(
        user=user_of(names, role),
        configure=_any_of(own),
        write=_any_of(publishes + own),
        read=_any_of(reads + own),
        write_commands=role.commands,
        read_events=role.binding_keys,
        write_events=rf"^({'|'.join((*role.topics, *_COMMON_TOPICS))})\..*",
    )


def _any_of(names: list[str]) -> str:
    return f"^({'|'.join(names)})$" if names else _NOTHING


#: One entry of a list of definitions.
Entry = dict[str, object]


def definitions(names: Names, vhost: str, password_hashes: Mapping[str, str]) -> dict[str, list[Entry]]:
    """Return the definitions; users and their permissions for those that have a hash, by their name."""
    topology: dict[str, list[Entry]] = {
        "vhosts": [{"name": vhost}],
        "exchanges": [_exchange(vhost, exchange) for exchange in names.exchanges],
        "queues": [_queue(names, vhost, queue) for queue in names.queues],
        "bindings": [_binding(vhost, *binding) for binding in _bindings(names)],
        "policies": [_dead_letter_policy(names, vhost)],
    }
    granted = [permissions_of(names, role) for role in ROLES]
    included = [permissions for permissions in granted if permissions.user in password_hashes]
    if not included:
        return topology
    return topology | {
        "users": [_user(permissions.user, password_hashes[permissions.user]) for permissions in included],
        "permissions": [
            {
                "user": permissions.user,
                "vhost": vhost,
                "configure": permissions.configure,
                "write": permissions.write,
                "read": permissions.read,
            }
            for permissions in included
        ],
        "topic_permissions": [
            {"user": permissions.user, "vhost": vhost, "exchange": exchange, "write": write, "read": read}
            for permissions in included
            for exchange, write, read in (
                (names.commands, permissions.write_commands, ".*"),
                (names.events, permissions.write_events, permissions.read_events),
            )
        ],
    }


def _exchange(vhost: str, exchange: str) -> Entry:
    return {
        "name": exchange,
        "vhost": vhost,
        "type": "topic",
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": {},
    }


def _binding(vhost: str, exchange: str, queue: str, key: str) -> Entry:
    return {
        "source": exchange,
        "vhost": vhost,
        "destination": queue,
        "destination_type": "queue",
        "routing_key": key,
        "arguments": {},
    }


def _queue(names: Names, vhost: str, queue: str) -> Entry:
    arguments = DEAD_LETTER_ARGUMENTS if queue == names.dead_letters else queue_arguments(names)
    return {"name": queue, "vhost": vhost, "durable": True, "auto_delete": False, "arguments": arguments}


def _bindings(names: Names) -> list[tuple[str, str, str]]:
    found = [(names.dead_letter_exchange, names.dead_letters, "#")]
    for spec in QUEUES:
        queue = names.queue(spec.name)
        found += [(names.commands, queue, key) for key in spec.binding_keys]
        found += [(names.events, queue, key) for key in spec.event_keys]
    return found


def _dead_letter_policy(names: Names, vhost: str) -> Entry:
    return {
        "name": f"{names.prefix}-dead-letters",
        "vhost": vhost,
        "pattern": f"^{re.escape(names.dead_letters)}$",
        "apply-to": "queues",
        "definition": {"max-length-bytes": DEAD_LETTERS_MAX_BYTES, "overflow": "drop-head"},
        "priority": 0,
    }


def _user(name: str, password_hash: str) -> Entry:
    return {
        "name": name,
        "password_hash": password_hash,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": [],
        "limits": {},
    }
