"""Messages that nobody could handle: list, explain, replay, drop."""

from __future__ import annotations

import json
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from services.web.api.commands import audit
from services.web.api.operations import OperationTable
from services.web.api.problems import ProblemError, not_found
from services.web.components import components
from shared.broker.dead_letter import exchange_of
from shared.broker.port import DeadLetter
from shared.broker.topology import DEAD_LETTERS
from shared.contract.envelope import identify
from shared.errors import UnroutableError

table = OperationTable("dead letters")

LIMIT_DEFAULT, LIMIT_MAX = 100, 500
#: Dead letters among which one is looked for to be explained; replay and drop find every one.
EXPLAINED = 1000


class DeadLettersQuery(BaseModel):
    """How many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(LIMIT_DEFAULT, ge=1, le=LIMIT_MAX, description="Dead letters, at most.")


@with_config(ConfigDict(extra="forbid"))
class DeadLetterEntry(TypedDict):
    """A dead letter; `message_id` and `type` are empty where the message cannot be read."""

    id: str
    message_id: str
    type: str
    routing_key: str
    reason: str
    size_bytes: int
    replayable: bool


@with_config(ConfigDict(extra="forbid"))
class DeadLetterList(TypedDict):
    """Some dead letters, and how many there are in all."""

    items: list[DeadLetterEntry]
    total: int


@with_config(ConfigDict(extra="forbid"))
class DeadLetterExplained(DeadLetterEntry):
    """A dead letter with its message, where that is JSON and not too long, and what may be done with it."""

    message: object
    advice: str


@table.add("GET", "/dead-letters", scope="admin", query=DeadLettersQuery, result=DeadLetterList)
def list_dead_letters(query: DeadLettersQuery) -> object:
    """List messages that nobody could handle; they stay where they are."""
    broker = components().broker
    items = [_entry(letter) for letter in broker.dead_letters(query.limit)]
    return {"items": items, "total": max(len(items), broker.queue_state(DEAD_LETTERS).ready)}


@table.add("GET", "/dead-letters/{dead_letter}", scope="admin", result=DeadLetterExplained)
def explain_dead_letter(dead_letter: str) -> object:
    """Explain a dead letter: what it was, why nobody could handle it, and what may be done with it."""
    letter = _find(dead_letter)
    entry = _entry(letter)
    advice = (
        "Mend the cause, then replay it; drop it if its work is no longer needed."
        if entry["replayable"]
        else "No queue takes it, so it cannot be replayed; drop it once you know where it came from."
    )
    return {**entry, "message": _readable(letter), "advice": advice}


@table.add("POST", "/dead-letters/{dead_letter}/replay", scope="admin", status=HTTPStatus.NO_CONTENT)
def replay_dead_letter(dead_letter: str) -> None:
    """Publish a dead letter again as it was, and remove it from the dead letters."""
    try:
        replayed = components().broker.replay_dead_letter(dead_letter)
    except UnroutableError as error:
        raise ProblemError(HTTPStatus.CONFLICT, f"It cannot be replayed: {error}.") from error
    if not replayed:
        raise _unknown()
    audit("dead letter replayed", dead_letter=dead_letter)


@table.add("DELETE", "/dead-letters/{dead_letter}", scope="admin", status=HTTPStatus.NO_CONTENT)
def drop_dead_letter(dead_letter: str) -> None:
    """Remove a dead letter for ever."""
    if not components().broker.drop_dead_letter(dead_letter):
        raise _unknown()
    audit("dead letter dropped", dead_letter=dead_letter)


def _find(dead_letter_id: str) -> DeadLetter:
    for letter in components().broker.dead_letters(EXPLAINED):
        if letter.id == dead_letter_id:
            return letter
    raise _unknown()


def _entry(letter: DeadLetter) -> DeadLetterEntry:
    message_id, kind = identify(letter.message.body)
    return {
        "id": letter.id,
        "message_id": message_id,
        "type": kind,
        "routing_key": letter.message.routing_key,
        "reason": letter.reason,
        "size_bytes": letter.size_bytes,
        "replayable": exchange_of(letter.message.routing_key) is not None,
    }


def _readable(letter: DeadLetter) -> object:
    try:
        return json.loads(letter.message.body)
    except (ValueError, RecursionError):
        return None


def _unknown() -> ProblemError:
    return not_found("There is no dead letter with this id; it may have been replayed or dropped.")
