"""`doseqr schema`: the contract with other programs, printed from the code that uses it."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Annotated

import typer

from services.cli.output.console import print_json
from services.cli.output.exit_codes import usage

#: Names of the documents that are no schema of a message.
ASYNCAPI, OPENAPI, SETTINGS = "asyncapi", "openapi", "settings"


def schema(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME]",
            help="asyncapi (messages), openapi (HTTP API), settings, or the type of a message, such as "
            "doseqr.command.query.v1; without a name: all schemas of messages by type.",
        ),
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="As for every command; it prints nothing but JSON.")
    ] = False,
) -> None:
    """Print JSON Schemas of messages, the AsyncAPI or the OpenAPI document.

    Examples: doseqr schema; doseqr schema doseqr.command.query.v1
    """
    del as_json
    print_json(_document(name))


def _document(name: str) -> object:
    # Each document is made by other parts of the code; only those that it needs are imported.
    if name == OPENAPI:
        from services.web.api.blueprint import operations
        from services.web.api.openapi import document

        return document(operations())
    if name == SETTINGS:
        from shared.settings import Settings

        return Settings.model_json_schema()
    if name == ASYNCAPI:
        from shared.contract.documents.asyncapi import ASYNCAPI_VERSION, asyncapi

        examples = files("shared.contract.documents").joinpath("examples.json").read_text(encoding="utf-8")
        return asyncapi(ASYNCAPI_VERSION, json.loads(examples))
    from shared.contract.schemas import schemas

    found = schemas()
    if name and name not in found:
        known = ", ".join([ASYNCAPI, OPENAPI, SETTINGS, *found])
        raise usage(f"There is no schema of this name; there are {known}.", "name")
    return found[name] if name else found
