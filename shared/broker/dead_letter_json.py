"""Dead letters as JSON, for the HTTP API and the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from shared.broker.dead_letter import exchange_of
from shared.broker.port import DeadLetter
from shared.contract.envelope import identify

#: Dead letters among which one is searched to be explained; replay and drop find every one.
EXPLAINED = 1000


@with_config(ConfigDict(extra="forbid"))
class DeadLetterEntry(TypedDict):
    """A dead letter; `message_id` and `type` are empty where the message cannot be read.

    `at`, `queue` and `worker` say when, from which queue and by which process it was given up, where known.
    """

    id: str
    message_id: str
    type: str
    routing_key: str
    reason: str
    at: str
    queue: str
    worker: str
    size_bytes: int
    replayable: bool


@with_config(ConfigDict(extra="forbid"))
class DeadLetterExplained(DeadLetterEntry):
    """A dead letter with its message, where that is JSON and not too long, and what may be done with it."""

    message: object
    advice: str


def dead_letter_entry(letter: DeadLetter) -> DeadLetterEntry:
    """Return a dead letter as lists show it."""
    message_id, kind = identify(letter.message.body)
    return {
        "id": letter.id,
        "message_id": message_id,
        "type": kind,
        "routing_key": letter.message.routing_key,
        "reason": letter.reason,
        "at": letter.at,
        "queue": letter.queue,
        "worker": letter.worker,
        "size_bytes": letter.size_bytes,
        "replayable": exchange_of(letter.message.routing_key) is not None,
    }


def dead_letter_explained(letter: DeadLetter) -> DeadLetterExplained:
    """Return a dead letter with its message and what may be done with it."""
    entry = dead_letter_entry(letter)
    advice = (
        "Mend the cause, then replay it; drop it if its work is no longer needed."
        if entry["replayable"]
        else "No queue takes it, so it cannot be replayed; drop it once you know where it came from."
    )
    return {**entry, "message": _readable(letter), "advice": advice}


def found_dead_letters(letters: Iterable[DeadLetter], prefix: str) -> list[DeadLetter]:
    """Return the dead letters whose ids begin so, each once."""
    found = {letter.id: letter for letter in letters if letter.id.startswith(prefix)}
    return list(found.values())


def _readable(letter: DeadLetter) -> object:
    try:
        return json.loads(letter.message.body)
    except (ValueError, RecursionError):
        return None
