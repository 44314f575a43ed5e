"""Messages that nobody could handle: list, explain, replay, drop."""

from __future__ import annotations

from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from services.web.api.commands import audit
from services.web.api.operations import OperationTable
from services.web.api.problems import ProblemError, not_found
from services.web.components import components
from shared.broker.dead_letter_json import (
    EXPLAINED,
    DeadLetterEntry,
    DeadLetterExplained,
    dead_letter_entry,
    dead_letter_explained,
)
from shared.broker.topology import DEAD_LETTERS
from shared.errors import UnroutableError

table = OperationTable("dead letters")

LIMIT_DEFAULT, LIMIT_MAX = 100, 500


class DeadLettersQuery(BaseModel):
    """How many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(LIMIT_DEFAULT, ge=1, le=LIMIT_MAX, description="Dead letters, at most.")


@with_config(ConfigDict(extra="forbid"))
class DeadLetterList(TypedDict):
    """Some dead letters, and how many there are in all."""

    items: list[DeadLetterEntry]
    total: int


@table.add("GET", "/dead-letters", scope="admin", query=DeadLettersQuery, result=DeadLetterList)
def list_dead_letters(query: DeadLettersQuery) -> object:
    """List messages that nobody could handle; they stay where they are."""
    broker = components().broker
    items = [dead_letter_entry(letter) for letter in broker.dead_letters(query.limit)]
    return {"items": items, "total": max(len(items), broker.queue_state(DEAD_LETTERS).ready)}


@table.add("GET", "/dead-letters/{dead_letter}", scope="admin", result=DeadLetterExplained)
def explain_dead_letter(dead_letter: str) -> object:
    """Explain a dead letter: what it was, why nobody could handle it, and what may be done with it."""
    for letter in components().broker.dead_letters(EXPLAINED):
        if letter.id == dead_letter:
            return dead_letter_explained(letter)
    raise _unknown()


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


def _unknown() -> ProblemError:
    return not_found("There is no dead letter with this id; it may have been replayed or dropped.")
