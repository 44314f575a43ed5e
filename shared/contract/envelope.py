"""CloudEvents 1.0 in structured JSON (CNCF CloudEvents JSON format): the form of every message."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from shared.contract.json_types import JsonDocument
from shared.errors import InvalidInputError
from shared.tracing.trace_context import read_cause, read_traceparent, read_tracestate

#: Larger bodies are refused unread; the largest of ours, a batch of study summaries, stays below 100 KiB.
MAX_BODY_BYTES = 4 * 1024 * 1024

#: Characters of a type.
MAX_TYPE_LENGTH = 128

#: The only way in which JSON holds the character U+0000 (RFC 8259, 7).
_ESCAPED_NUL = b"\\u0000"

#: Characters of an id.
MAX_ID_LENGTH = 64

#: Hexadecimal digits of the digest in an id that was made from a long one.
_DIGEST_LENGTH = 20

#: Ids are parts of routing keys: no dots, no wildcards.
ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
_ID = re.compile(ID_PATTERN)

Identifier = Annotated[str, Field(pattern=ID_PATTERN, description="Letters, digits, - and _, at most 64.")]


#: A time of RFC 3339; senders that leave out the zone, or the seconds, are taken.
TIME_PATTERN = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?$"
)
_TIME = re.compile(TIME_PATTERN)


def _written_time(value: object) -> object:
    """Refuse what pydantic would take for a time beside text: a number of seconds, a date."""
    if value is None or isinstance(value, datetime) or (isinstance(value, str) and _TIME.fullmatch(value)):
        return value
    raise PydanticCustomError("time", "must be a time of RFC 3339")


def _written_traceparent(value: object) -> str | None:
    return value if isinstance(value, str) and read_traceparent(value) is not None else None


class Envelope(BaseModel):
    """One CloudEvent; `data` is the message proper.

    The attributes of its trace are extensions: what is malformed of them is left out, and refuses nothing.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    specversion: Literal["1.0"]
    id: Identifier
    source: Annotated[str, Field(min_length=1, max_length=256)]
    type: Annotated[str, Field(min_length=1, max_length=MAX_TYPE_LENGTH)]
    time: Annotated[datetime | None, BeforeValidator(_written_time)] = None
    subject: Annotated[str, Field(max_length=128)] | None = None
    datacontenttype: Literal["application/json"] = "application/json"
    traceparent: Annotated[str | None, BeforeValidator(_written_traceparent)] = None
    tracestate: Annotated[str | None, BeforeValidator(lambda value: read_tracestate(value) or None)] = None
    causationid: Annotated[str | None, BeforeValidator(lambda value: read_cause(value) or None)] = None
    data: JsonDocument = Field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the JSON text, keys in the order of this class."""
        return self.model_dump_json(exclude_none=True).encode()


def new_id() -> str:
    """Return a fresh id for a command or an event."""
    return uuid.uuid4().hex


def derived_id(base: str, tail: str, *, with_digest: bool = False) -> str:
    """Return the id of what belongs to the job or command `base`: the same each time, another for each base.

    Where both together would be longer than an id may be, a digest of the base stands for its end. With
    `with_digest` it is there always: for a tail that another base could end in.
    """
    if len(base) + len(tail) <= MAX_ID_LENGTH and not with_digest:
        return base + tail
    digest = hashlib.sha256(base.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{base[: MAX_ID_LENGTH - len(tail) - len(digest) - 1]}-{digest}{tail}"


def retrieve_id_after(query_id: str, reruns: int = 0) -> str:
    """Return the id of the retrieve that a query orders at its end: at its first, or at that of a rerun."""
    return derived_id(query_id, f"-r{reruns}" if reruns else "-r")


def valid_id(text: str) -> bool:
    """Return whether this can be an id of a command or job."""
    return _ID.fullmatch(text) is not None


def decode(body: bytes) -> Envelope:
    """Read a CloudEvent.

    Raises:
        InvalidInputError: it is no JSON object, or an attribute of CloudEvents is missing or wrong; names it.
    """
    if len(body) > MAX_BODY_BYTES:
        raise InvalidInputError("", f"the message is longer than {MAX_BODY_BYTES} bytes")
    try:
        envelope = Envelope.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error) from None
    if "data_base64" in (envelope.model_extra or {}):
        raise InvalidInputError("data_base64", "is not taken: send the data as a JSON object, in data")
    if _ESCAPED_NUL in body:
        _refuse_nul(envelope.model_dump(), "")
    return envelope


def _refuse_nul(value: object, field: str) -> None:
    """Refuse U+0000, which PostgreSQL cannot store; names the field in which it is."""
    if isinstance(value, str) and "\0" in value:
        raise InvalidInputError(field, "must hold no NUL character (U+0000)")
    items: Iterable[tuple[object, object]] = ()
    if isinstance(value, dict):
        items = value.items()
        for key in value:
            _refuse_nul(key, field)
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        _refuse_nul(item, f"{field}.{key}" if field else str(key))


def identify(body: bytes) -> tuple[str, str]:
    """Return id and type of a message that may make no sense; each is empty where it cannot be read."""
    try:
        read = json.loads(body) if len(body) <= MAX_BODY_BYTES else None
    except (ValueError, RecursionError):
        read = None
    attributes = read if isinstance(read, dict) else {}
    message_id, kind = attributes.get("id"), attributes.get("type")
    return (
        message_id if isinstance(message_id, str) and valid_id(message_id) else "",
        kind[:MAX_TYPE_LENGTH] if isinstance(kind, str) else "",
    )


#: What a value must be, by pydantic's type of error.
_WANTED = {
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of at most 18 digits",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "literal_error": "must be {expected}",
    "string_type": "must be text",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length} items",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "string_pattern_mismatch": "must match {pattern}",
    "missing": "is missing",
    "extra_forbidden": "is not known",
}


def invalid(error: ValidationError, prefix: str = "") -> InvalidInputError:
    """Turn the first complaint of pydantic into ours, with the dotted name of the field."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    name = ".".join(part for part in (prefix, field) if part)
    return InvalidInputError(name, problem_of(first))


def problem_of(error: ErrorDetails) -> str:
    """Return a complaint of pydantic for people: what the value must be, without words of Python."""
    context = {name: value for name, value in error.get("ctx", {}).items() if name != "error"}
    wanted = _WANTED.get(error["type"])
    problem = wanted.format_map(context) if wanted else error["msg"].removeprefix("Value error, ")
    return problem[:1].lower() + problem[1:]
