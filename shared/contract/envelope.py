"""CloudEvents 1.0 in structured JSON (CNCF CloudEvents JSON format): the form of every message."""

from __future__ import annotations

import json
import re
import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import InvalidInputError

#: Larger bodies are refused unread; the largest of ours, a batch of study summaries, stays below 100 KiB.
MAX_BODY_BYTES = 4 * 1024 * 1024

#: Characters of a type.
MAX_TYPE_LENGTH = 128

#: Ids are parts of routing keys: no dots, no wildcards.
ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
_ID = re.compile(ID_PATTERN)

Identifier = Annotated[str, Field(pattern=ID_PATTERN, description="Letters, digits, - and _, at most 64.")]


class Envelope(BaseModel):
    """One CloudEvent; `data` is the message proper."""

    model_config = ConfigDict(frozen=True, extra="allow")

    specversion: Literal["1.0"]
    id: Identifier
    source: Annotated[str, Field(min_length=1, max_length=256)]
    type: Annotated[str, Field(min_length=1, max_length=MAX_TYPE_LENGTH)]
    time: datetime | None = None
    subject: Annotated[str, Field(max_length=128)] | None = None
    datacontenttype: Literal["application/json"] = "application/json"
    data: dict[str, Any] = Field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the JSON text, keys in the order of this class."""
        return self.model_dump_json(exclude_none=True).encode()


def new_id() -> str:
    """Return a fresh id for a command or an event."""
    return uuid.uuid4().hex


def retrieve_id_after(query_id: str, asked_again: int = 0) -> str:
    """Return the id of the retrieve that a query orders at its end, the first or after it was asked again."""
    tail = f"-r{asked_again}" if asked_again else "-r"
    return f"{query_id[: min(61, 64 - len(tail))]}{tail}"


def valid_id(text: str) -> bool:
    """Tell whether this can be an id of a command or job."""
    return _ID.fullmatch(text) is not None


def decode(body: bytes) -> Envelope:
    """Read a CloudEvent.

    Raises:
        InvalidInputError: it is no JSON object, or an attribute of CloudEvents is missing or wrong; names it.
    """
    if len(body) > MAX_BODY_BYTES:
        raise InvalidInputError("", f"the message is longer than {MAX_BODY_BYTES} bytes")
    try:
        return Envelope.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error) from None


def identify(body: bytes) -> tuple[str, str]:
    """Return id and type of a message that may make no sense; each is empty where it cannot be read."""
    try:
        read = json.loads(body) if len(body) <= MAX_BODY_BYTES else None
    except (ValueError, RecursionError):
        read = None
    told = read if isinstance(read, dict) else {}
    message_id, kind = told.get("id"), told.get("type")
    return (
        message_id if isinstance(message_id, str) and valid_id(message_id) else "",
        kind[:MAX_TYPE_LENGTH] if isinstance(kind, str) else "",
    )


def invalid(error: ValidationError, prefix: str = "") -> InvalidInputError:
    """Turn the first complaint of pydantic into ours, with the dotted name of the field."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    name = ".".join(part for part in (prefix, field) if part)
    problem = first["msg"].removeprefix("Value error, ")
    return InvalidInputError(name, problem[:1].lower() + problem[1:])
