"""Exchanges, queues and bindings as data (AMQP 0-9-1 topic exchanges, quorum queues)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """One durable quorum queue: its short name and the routing keys of commands that it takes."""

    name: str
    binding_keys: tuple[str, ...]
    #: Routing keys of events that it takes besides.
    event_keys: tuple[str, ...] = ()


#: Commands of the public contract and, below `task.`, the services' own work.
QUEUES: tuple[QueueSpec, ...] = (
    QueueSpec("echo", ("echo",)),
    QueueSpec(
        "query",
        (
            "query",
            "cancel",
            "again",
            "pause",
            "resume",
            "raise",
            "node.pause",
            "node.resume",
            "status",
            "result",
        ),
    ),
    QueueSpec("query-tasks", ("task.query",)),
    QueueSpec("query-profile", ("profile",)),
    QueueSpec("retrieve", ("retrieve", "cancel", "again", "pause", "resume", "raise")),
    QueueSpec("retrieve-tasks", ("task.retrieve",)),
    QueueSpec("store", ("objects.register", "handover.retry"), event_keys=("objects.stored.#",)),
)

#: Where messages end that nobody could handle.
DEAD_LETTERS = "dead-letters"

#: Headers of a dead letter: why, when (RFC 3339), from which queue, and by which process it was given up.
REASON_HEADER = "x-doseqr-reason"
TIME_HEADER = "x-doseqr-time"
QUEUE_HEADER = "x-doseqr-queue"
WORKER_HEADER = "x-doseqr-worker"

#: The broker itself gives up on a message after so many returns (x-delivery-limit): a net below ours.
DELIVERY_LIMIT = 20

#: What is wrong with the reply queue of a message.
NO_REPLY_QUEUE = "must name a queue of your own, by 1 to 255 visible ASCII characters"

#: Beginnings of names of RabbitMQ's own under which a client may have a queue: named by the server, and the
#: pseudo-queues of direct replies.
_REPLY_QUEUES_OF_THE_SERVER = ("amq.gen-", "amq.rabbitmq.reply-to.")

#: Events that wait for one slow subscriber before the oldest are dropped.
SUBSCRIPTION_BACKLOG = 100_000

#: Short names of everything that can be consumed.
QUEUE_NAMES: frozenset[str] = frozenset({spec.name for spec in QUEUES} | {DEAD_LETTERS})


@dataclass(frozen=True, slots=True)
class Names:
    """Full names of exchanges and queues for one installation (`prefix`, DOSEQR_AMQP_PREFIX)."""

    prefix: str

    @property
    def commands(self) -> str:
        """The exchange of commands."""
        return f"{self.prefix}.commands"

    @property
    def events(self) -> str:
        """The exchange of events."""
        return f"{self.prefix}.events"

    @property
    def dead_letter_exchange(self) -> str:
        """The exchange to which dead messages go."""
        return f"{self.prefix}.dead"

    @property
    def dead_letters(self) -> str:
        """The queue that holds dead messages."""
        return f"{self.prefix}.{DEAD_LETTERS}"

    @property
    def exchanges(self) -> tuple[str, ...]:
        """All exchanges."""
        return (self.commands, self.events, self.dead_letter_exchange)

    @property
    def queues(self) -> tuple[str, ...]:
        """All queues, the dead letters' first."""
        return (self.dead_letters, *(self.queue(spec.name) for spec in QUEUES))

    def is_reply_queue(self, name: str) -> bool:
        """Return whether another system may have a response sent to this queue: never one of the services."""
        longest = 255
        visible = 0 < len(name) <= longest and name.isascii() and name.isprintable() and " " not in name
        ours = name == self.prefix or name.startswith(f"{self.prefix}.")
        reserved = name.startswith("amq.") and not name.startswith(_REPLY_QUEUES_OF_THE_SERVER)
        return visible and not ours and not reserved

    def queue(self, name: str) -> str:
        """Full name of the queue with this short name."""
        return f"{self.prefix}.{name}"


#: Arguments of the queue of dead letters.
DEAD_LETTER_ARGUMENTS: dict[str, str | int] = {"x-queue-type": "quorum"}


def queue_arguments(names: Names) -> dict[str, str | int]:
    """Return the arguments of every other queue."""
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": names.dead_letter_exchange,
    }


def topic_matches(binding_key: str, routing_key: str) -> bool:
    """Return whether an AMQP topic binding key matches a routing key (`*` one word, `#` zero or more)."""
    return _words_match(binding_key.split("."), routing_key.split("."))


def _words_match(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    head, rest = pattern[0], pattern[1:]
    if head == "#":
        return any(_words_match(rest, words[skip:]) for skip in range(len(words) + 1))
    return bool(words) and head in ("*", words[0]) and _words_match(rest, words[1:])
