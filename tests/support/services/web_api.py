"""The HTTP API in a test: a client with a token of each scope that checks every response against OpenAPI."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from werkzeug.test import TestResponse

from services.web.api import commands
from services.web.api.blueprint import operations
from services.web.api.openapi import document
from services.web.api.operations import Operation
from services.web.api.problems import PREFIX
from shared.clock import utc_now
from shared.users.accounts import find_user
from shared.users.api_tokens import SCOPES, create_token
from tests.support.services.web import Site

DOCUMENT = document(operations())
_REGISTRY: Registry[Any] = Registry().with_resource(
    "doc:", Resource.from_contents(DOCUMENT, default_specification=DRAFT202012)
)


class ApiClient:
    """Sends requests with a token, by default that of an admin."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.tokens = {"": ""}
        with site.database.write() as session:
            admin = find_user(session, "admin")
            for scope in SCOPES:
                _, self.tokens[scope] = create_token(session, f"{scope} token", admin, scope, utc_now())

    def send(
        self, method: str, path: str, body: Any = None, *, scope: str = "admin", **options: Any
    ) -> TestResponse:
        """Send a request to a path below the prefix."""
        headers = dict(options.pop("headers", {}))
        if scope:
            headers["Authorization"] = f"Bearer {self.tokens[scope]}"
        if body is not None:
            options["json"] = body
        response = self.site.app.test_client().open(
            path if path.startswith("/api") else PREFIX + path, method=method, headers=headers, **options
        )
        check_against_document(method, path, response)
        return response

    def get(self, path: str, **options: Any) -> Any:
        """Return the JSON of a resource that is there."""
        response = self.send("GET", path, **options)
        assert response.status_code == 200, response.text
        return response.json


def problem(response: TestResponse, status: int, field: str | None = None) -> dict[str, Any]:
    """Assert that a response is a problem of this status and field; return it."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    body: dict[str, Any] = json.loads(response.text)
    assert body["status"] == status
    assert body["detail"]
    assert body["advice"]
    if field is not None:
        assert body.get("field") == field, body
    return body


def operation_of(method: str, path: str) -> Operation | None:
    """Return the operation that a request is about."""
    given = path.removeprefix(PREFIX).partition("?")[0].split("/")
    for operation in operations():
        parts = operation.path.split("/")
        if operation.method != method or len(parts) != len(given):
            continue
        if all(part.startswith("{") or part == text for part, text in zip(parts, given, strict=True)):
            return operation
    return None


def check_against_document(method: str, path: str, response: TestResponse) -> None:
    """Assert that status, media type and body are among those that the document names."""
    operation = operation_of(method, path)
    if operation is None or response.mimetype == "text/event-stream":
        return
    described = DOCUMENT["paths"][PREFIX + operation.path][method.lower()]["responses"]
    assert str(response.status_code) in described, (method, path, response.status)
    documented = described[str(response.status_code)]
    if "$ref" in documented:
        documented = DOCUMENT["components"]["responses"][documented["$ref"].rpartition("/")[2]]
    if "content" not in documented:
        assert response.data == b""
        return
    schema = json.loads(
        json.dumps(documented["content"][response.mimetype]["schema"]).replace('"#/', '"doc:#/')
    )
    jsonschema.Draft202012Validator(schema, registry=_REGISTRY).validate(response.json)


@pytest.fixture
def api(site: Site, monkeypatch: pytest.MonkeyPatch) -> ApiClient:
    """The API of a page whose workers take commands and do nothing else."""
    # No worker of these tests writes a row: nothing is worth waiting for.
    monkeypatch.setattr(commands, "TAKEN_WITHIN_S", 0.05)
    site.listen_all()
    return ApiClient(site)
