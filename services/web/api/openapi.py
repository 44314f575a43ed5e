"""The OpenAPI 3.1 document, made of the operations and of the models that they validate with."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from services.web.api.idempotency import HEADER
from services.web.api.inputs import FORM
from services.web.api.operations import Operation
from services.web.api.problems import MEDIA_TYPE, PREFIX, Problem
from shared.contract.criteria import Criteria
from shared.tracing.trace_context import MAX_TRACEPARENT_LENGTH

#: Version of the contract, not of the program.
VERSION = "1"
_REFERENCE = "#/components/schemas/{model}"

_PARAMETER_TEXTS = {
    "node": "Id or name of a node.",
    "job": "Id of a job.",
    "query_id": "Id of a query.",
    "study_list": "Id of a list of studies.",
    "study": "Study Instance UID.",
    "dead_letter": "Id of a dead letter.",
    "schedule": "Id or name of a recurring query.",
    "comparison": "Id of a comparison.",
    "address": "Id or name of an address of notifications.",
}

_DESCRIPTION = """\
Queries of a PACS for dose objects, the decisions on them, and their retrieves: the same that the page and
the command `doseqr` do. Every operation but this document needs a bearer token (`doseqr tokens add`); its
scope is `read`, `import` or `admin`, each with those before it. Errors are problem details (RFC 9457). Lists
are pages: follow `next`. A POST with an `Idempotency-Key` may be sent again: the work is done once."""

Json = dict[str, Any]


def document(operations: Iterable[Operation]) -> Json:
    """Return the document of these operations."""
    all_operations = sorted(operations, key=lambda operation: (operation.path, operation.method))
    schemas = _Schemas(all_operations)
    paths: Json = {}
    for operation in all_operations:
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = _operation(
            operation, schemas
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": "DoseQR", "version": VERSION, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in sorted({operation.tag for operation in all_operations})],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "responses": _problem_responses(schemas),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of `doseqr tokens add`; scopes: read, import, admin.",
                }
            },
        },
    }


class _Schemas:
    """The schemas of all models, and the reference to each."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        inputs: list[tuple[Any, JsonSchemaMode]] = [(Problem, "serialization"), (Criteria, "validation")]
        for operation in operations:
            inputs += [(operation.body, "validation")] if operation.body else []
            inputs += [(operation.result, "serialization")] if operation.result else []
        unique = {repr(model): (model, mode) for model, mode in inputs}
        found, definitions = TypeAdapter.json_schemas(
            [(name, mode, TypeAdapter(model)) for name, (model, mode) in unique.items()],
            ref_template=_REFERENCE,
        )
        self._references = {name: schema for (name, _), schema in found.items()}
        self.definitions: Json = dict(sorted(definitions["$defs"].items()))
        _refer_to_criteria(self.definitions)

    def of(self, model: object) -> Json:
        """Return the schema of a model: mostly a reference."""
        return self._references[repr(model)]


def _refer_to_criteria(definitions: Json) -> None:
    """Let commands refer to the schema of criteria, as the schemas of the messages do."""
    for schema in definitions.values():
        given = schema.get("title", "").startswith(("RunQuery", "ScheduleInput", "ScheduleChange"))
        if given and "criteria" in schema.get("properties", {}):
            schema["properties"]["criteria"] = {"$ref": _REFERENCE.format(model="Criteria")}


def _operation(operation: Operation, schemas: _Schemas) -> Json:
    summary, _, description = inspect.cleandoc(operation.view.__doc__ or "").partition("\n")
    described: Json = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": summary.rstrip("."),
    }
    if description.strip():
        described["description"] = description.strip()
    described["security"] = [{"token": [operation.scope]}] if operation.scope else []
    parameters = [*_path_parameters(operation), *_query_parameters(operation)]
    if operation.method == "POST":
        parameters += [_idempotency_key(), _traceparent()]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        content: Json = {"application/json": {"schema": schemas.of(operation.body)}}
        if operation.takes_file:
            content[FORM] = {"schema": _form_schema(operation.body)}
        described["requestBody"] = {
            "required": any(field.is_required() for field in operation.body.model_fields.values()),
            "content": content,
        }
    described["responses"] = _responses(operation, schemas)
    return described


def _form_schema(body: type[BaseModel]) -> Json:
    """Return the schema of a form: the fields of the body as texts, and in place of its lines the file."""
    required = [name for name, field in body.model_fields.items() if field.is_required()]
    fields = {name: {"type": "string"} for name in body.model_fields if name != "lines"}
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    return {"type": "object", "properties": {**fields, "file": file}, "required": [*required, "file"]}


def _path_parameters(operation: Operation) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PARAMETER_TEXTS[name],
            "schema": {"type": "string"},
        }
        for name in operation.parameters
    ]


def _query_parameters(operation: Operation) -> list[Json]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(by_alias=True)
    assert "$defs" not in schema
    parameters = []
    for name, described in schema["properties"].items():
        required = name in schema.get("required", ())
        parameter: Json = {"name": name, "in": "query", "required": required}
        if "description" in described:
            parameter["description"] = described["description"]
        parameters.append(parameter | {"schema": _of_parameter(described)})
    return parameters


def _of_parameter(described: Json) -> Json:
    """Return the schema of a parameter, which may be left out, but cannot be null."""
    schema = {name: value for name, value in described.items() if name not in ("title", "description")}
    if schema.get("default", "") is None:
        del schema["default"]
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**rest, **choices[0]} if len(choices) == 1 else schema


def _idempotency_key() -> Json:
    return {
        "name": HEADER,
        "in": "header",
        "required": False,
        "description": "A new key for each piece of work; the same again gets the same response for a day.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    }


def _traceparent() -> Json:
    return {
        "name": "traceparent",
        "in": "header",
        "description": "The trace of its commands and events (W3C Trace Context), with `tracestate` beside "
        "it; a malformed one is ignored.",
        "schema": {"type": "string", "maxLength": MAX_TRACEPARENT_LENGTH},
    }


def _responses(operation: Operation, schemas: _Schemas) -> Json:
    good: Json = {"description": operation.status.phrase}
    if operation.result is not None:
        good["content"] = {operation.media_type: {"schema": schemas.of(operation.result)}}
    responses = {str(operation.status.value): good}
    problems = set(operation.problems)
    if operation.scope is not None:
        problems |= {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
        problems |= {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.UNPROCESSABLE_ENTITY}
    if operation.result is not None:
        problems.add(HTTPStatus.NOT_ACCEPTABLE)
    if operation.parameters:
        problems.add(HTTPStatus.NOT_FOUND)
    if operation.method == "POST":
        problems.add(HTTPStatus.CONFLICT)
    if operation.changes:
        problems.add(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if operation.body is not None:
        problems |= {HTTPStatus.BAD_REQUEST, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}
    for status in sorted(problems):
        responses[str(status.value)] = {"$ref": f"#/components/responses/{_component(status)}"}
    return responses


def _problem_responses(schemas: _Schemas) -> Json:
    return {
        _component(status): {
            "description": status.phrase,
            "content": {MEDIA_TYPE: {"schema": schemas.of(Problem)}},
        }
        for status in _PROBLEMS
    }


def _component(status: HTTPStatus) -> str:
    return "".join(word.capitalize() for word in status.name.split("_"))


_PROBLEMS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.NOT_ACCEPTABLE,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
