"""Requests made up from the OpenAPI document, fitting and not: no 5xx, no response that it does not name."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.web.api import commands
from services.web.api.blueprint import operations
from services.web.api.problems import PREFIX
from tests.support.jobs.rows import a_query, a_retrieve, a_study, an_expected
from tests.support.services.web_api import DOCUMENT, ApiClient

#: Requests of each kind for each operation; 25 take some minutes.
EXAMPLES = 4

#: Each with those before it; none: without a token.
SCOPES = ("", "read", "import", "admin")

CLOSED = [pytest.param(operation, id=operation.name) for operation in operations() if operation.scope]


@pytest.fixture(scope="module")
def schemathesis():
    """The library, whose own libraries warn of themselves while they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield importlib.import_module("schemathesis")


class CurrentApp:
    """The app of the test that runs: the document is read once, and what is made up from it."""

    def __init__(self) -> None:
        self.app: Any = None

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)


@pytest.fixture(scope="module")
def schema(schemathesis):
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.app = CurrentApp()
    return schema


@pytest.fixture
def filled(site, monkeypatch):
    monkeypatch.setattr(commands, "TAKEN_WITHIN_S", 0.0)
    monkeypatch.setattr("services.web.api.routes.nodes.ECHO_LONGEST_S", 0.01)
    monkeypatch.setattr("services.web.api.event_streams.STREAM_S", 0.01)
    site.listen_all()
    site.add(
        a_query("q1", studies_kept=1),
        a_study("1.2", "q1"),
        a_retrieve("r1", "q1"),
        an_expected("1.2", "1.2.3", "1.2.3.4", "r1"),
    )
    return ApiClient(site)


@pytest.mark.parametrize("valid", [True, False], ids=["fitting", "not fitting"])
@pytest.mark.parametrize("operation", CLOSED)
def test_no_request_leads_to_a_defect(filled, schemathesis, schema, operation, valid):
    # Given
    schema.app.app = filled.site.app
    described = schema[PREFIX + operation.path][operation.method]
    mode = schemathesis.GenerationMode.POSITIVE if valid else schemathesis.GenerationMode.NEGATIVE
    checks = [
        schemathesis.checks.not_a_server_error,
        *(
            getattr(schemathesis.specs.openapi.checks, name)
            for name in ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
        ),
    ]
    # Mostly one that may: the others get no further.
    scopes = st.sampled_from(["admin", "admin", "admin", operation.scope, "read", ""])

    @settings(
        max_examples=EXAMPLES,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described.as_strategy(generation_mode=mode), scope=scopes)
    def send(case, scope):
        # When
        response = case.call(headers={"Authorization": f"Bearer {filled.tokens[scope]}"})
        # Then
        if response.status_code == 504 and operation.name == "echo_node":
            # No worker of this test tests a node.
            return
        case.validate_response(response, checks=checks)
        if response.status_code >= 400:
            assert response.headers["content-type"] == ["application/problem+json"]
        if SCOPES.index(scope) < SCOPES.index(operation.scope):
            assert response.status_code >= 400

    send()
