"""Operations of the API: one declaration for routing, scope, validation and the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Blueprint, Response, json, request
from pydantic import BaseModel

from services.web.api import authentication, idempotency
from services.web.api.inputs import FORM, read_body, read_form, read_query, refuse_query, storable
from services.web.api.problems import ProblemError, as_problem, not_found
from shared.errors import BrokerAwayError, PermanentError, UnroutableError
from shared.users.api_tokens import Scope

V = TypeVar("V", bound=Callable[..., object])

_PARAMETER = re.compile(r"{(\w+)}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    #: As OpenAPI writes it: `/nodes/{node}`.
    path: str
    tag: str
    view: Callable[..., object]
    #: None: open to all.
    scope: Scope | None
    #: What the path and query may hold, and the JSON body.
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    #: Whether the body may also be a form with its fields and a file (RFC 7578).
    takes_file: bool = False
    #: The type of the result as pydantic reads types; None: no content.
    result: object = None
    status: HTTPStatus = HTTPStatus.OK
    media_type: str = "application/json"
    #: Problems beside those that every operation may have.
    problems: tuple[HTTPStatus, ...] = ()

    @property
    def name(self) -> str:
        """The name of the operation: that of its view."""
        return self.view.__name__

    @property
    def parameters(self) -> list[str]:
        """The names of the parameters in the path."""
        return _PARAMETER.findall(self.path)

    @property
    def changes(self) -> bool:
        """Whether it changes anything."""
        return self.method not in ("GET", "HEAD")


class OperationTable:
    """The operations of one part of the API."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.operations: list[Operation] = []

    def add(self, method: str, path: str, *, scope: Scope | None, **about: Any) -> Callable[[V], V]:
        """Return a decorator that declares a view; see `Operation` for the rest.

        The docstring of the view is its description, the first line its summary.
        """

        def declare(view: V) -> V:
            self.operations.append(Operation(method, path, self.tag, view, scope, **about))
            return view

        return declare


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What a view returns where the plain value is not all of it."""

    value: object
    location: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def register(blueprint: Blueprint, operation: Operation) -> None:
    """Route an operation."""
    blueprint.add_url_rule(
        _PARAMETER.sub(r"<\1>", operation.path),
        endpoint=operation.name,
        view_func=_view_of(operation),
        methods=[operation.method],
        # OPTIONS would respond to anybody.
        provide_automatic_options=False,
    )


def _view_of(operation: Operation) -> Callable[..., Response]:
    def view(**arguments: object) -> Response:
        try:
            return _run(operation, arguments)
        except (BrokerAwayError, UnroutableError, PermanentError) as error:
            raise as_problem(error) from error

    return view


def _run(operation: Operation, arguments: dict[str, object]) -> Response:
    if operation.scope is not None:
        authentication.require(operation.scope)
    _require_acceptable(operation)
    if not all(storable(value) for value in arguments.values()):
        raise not_found("There is nothing of this id.")
    if operation.query is not None:
        arguments["query"] = read_query(operation.query)
    else:
        refuse_query()
    if operation.body is not None:
        is_form = operation.takes_file and request.mimetype == FORM
        arguments["body"] = read_form(operation.body) if is_form else read_body(operation.body)
    elif operation.changes and request.get_data():
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "This operation takes no body.")

    def respond() -> Response:
        return _response(operation, operation.view(**arguments))

    return idempotency.once(respond) if operation.method == "POST" else respond()


def _require_acceptable(operation: Operation) -> None:
    """Refuse a request whose Accept excludes what the operation returns (RFC 9110 15.5.7)."""
    accepted = request.accept_mimetypes
    if operation.result is not None and accepted and not accepted.quality(operation.media_type):
        detail = f"The response is {operation.media_type}, which the header Accept excludes."
        raise ProblemError(HTTPStatus.NOT_ACCEPTABLE, detail)


def _response(operation: Operation, value: object) -> Response:
    if isinstance(value, Response):
        return value
    result = value if isinstance(value, OperationResult) else OperationResult(value)
    text = "" if operation.status is HTTPStatus.NO_CONTENT else json.dumps(result.value) + "\n"
    response = Response(text, operation.status, mimetype=operation.media_type)
    if result.location:
        response.headers["Location"] = result.location
    response.headers.extend(list(result.headers))
    return response


def with_path(operation: Operation, prefix: str) -> Operation:
    """Return the operation below a prefix."""
    return replace(operation, path=prefix + operation.path)
