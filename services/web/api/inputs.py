"""Reading what a request carries: its JSON body and its query string, validated by the models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar, get_origin

from flask import request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from services.web.api.problems import FieldProblem, ProblemError
from shared.contract.envelope import problem_of

M = TypeVar("M", bound=BaseModel)

#: The media type of a form with a file.
FORM = "multipart/form-data"
#: Levels of a body; ours have three.
MAX_DEPTH = 20
#: Fields at fault that are named.
MAX_ERRORS = 20
_MAX_NAME_LENGTH = 100


def read_body(model: type[M]) -> M:
    """Return the validated body; an empty one stands for an object without fields.

    Raises:
        ProblemError: 415 if it is not declared as JSON, 400 if it is none, 422 if it does not fit the model.
    """
    raw = request.get_data()
    if not raw:
        return _validated(model, {})
    if request.mimetype != "application/json":
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The body is {request.mimetype[:100] or 'of no type'}, not JSON.",
        )
    try:
        data = json.loads(_text_of(raw), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise ProblemError(HTTPStatus.BAD_REQUEST, "The body is no JSON (RFC 8259) in UTF-8.") from None
    if not isinstance(data, dict):
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "The body must be a JSON object.")
    if not storable(data):
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "A text of the body holds a NUL or half a character, or it is too deep.",
        )
    return _validated(model, data)


def _text_of(raw: bytes) -> str:
    """Return JSON as text; `json.loads` would guess the encoding of bytes.

    Raises:
        ProblemError: 400 if it is not in UTF-8 (RFC 8259 8.1; a byte order mark is ignored).
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = ""
    # No JSON holds a NUL: it is half of a character of UTF-16.
    if not text or "\0" in text:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "The body is not in UTF-8, the encoding of JSON (RFC 8259, 8.1)."
        )
    return text


def read_form(model: type[M]) -> M:
    """Return the validated fields of a form; its file is `uploaded_file`.

    Raises:
        ProblemError: 422, with the field.
    """
    data = request.form.to_dict()
    if not storable(data):
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "A field of the form holds a NUL.")
    return _validated(model, data)


def uploaded_file() -> bytes | None:
    """Return the content of the file `file` of the form; None if there is none."""
    file = request.files.get("file")
    return None if file is None else file.stream.read()


def uploaded_name() -> str:
    """Return the name of the file `file` of the form; empty if there is none."""
    file = request.files.get("file")
    return "" if file is None else file.filename or ""


def read_query(model: type[M]) -> M:
    """Return the validated query string.

    Raises:
        ProblemError: 422, with the parameter.
    """
    aliases = {field.alias or name: field for name, field in model.model_fields.items()}
    data: dict[str, object] = {}
    for name, values in request.args.lists():
        field = aliases.get(name)
        takes_several = field is not None and get_origin(field.annotation) is list
        if len(values) > 1 and not takes_several:
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"{name[:_MAX_NAME_LENGTH]}: is given more than once",
                field=name[:_MAX_NAME_LENGTH],
            )
        data[name] = values if takes_several else values[0]
    if not storable(data):
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "The query string holds a NUL.")
    return _validated(model, data)


def refuse_query() -> None:
    """Refuse a query string where there is nothing to choose.

    Raises:
        ProblemError: 422, with the parameter.
    """
    for name in request.args:
        field = name[:_MAX_NAME_LENGTH]
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{field}: is not a known parameter", field=field)


def storable(value: object, depth: int = 0) -> bool:
    """Return whether a database takes every text: no NUL, no half of a surrogate pair, no endless depth."""
    if depth > MAX_DEPTH:
        return False
    if isinstance(value, str):
        return _storable_text(value)
    if isinstance(value, Mapping):
        return all(storable(key, depth + 1) and storable(item, depth + 1) for key, item in value.items())
    if isinstance(value, list):
        return all(storable(item, depth + 1) for item in value)
    return True


def _storable_text(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _validated(model: type[M], data: Mapping[str, object]) -> M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        errors = [
            FieldProblem(field=_name(found["loc"]), problem=_sentence(found))
            for found in error.errors(include_input=False, include_url=False)[:MAX_ERRORS]
        ]
    first = errors[0]
    raise ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"{first.field}: {first.problem}" if first.field else first.problem,
        field=first.field or None,
        errors=errors if len(errors) > 1 else [],
    )


def _name(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)[:_MAX_NAME_LENGTH]


def _sentence(error: ErrorDetails) -> str:
    return "is not a known field" if error["type"] == "extra_forbidden" else problem_of(error)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON")
