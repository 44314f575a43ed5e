"""Writes the golden files and the generated documents again (`make golden`); look at the difference."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from services.web.api.blueprint import operations
from services.web.api.openapi import document
from shared.contract.documents.asyncapi import ASYNCAPI_VERSION, asyncapi
from shared.contract.schemas import schemas
from tests.conformance import statement as conformance
from tests.golden.codes import codes_page
from tests.golden.conformance import conformance_files
from tests.golden.examples import messages

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "v1"
SCHEMAS = ROOT / "docs" / "schemas"
ASYNCAPI = ROOT / "docs" / "asyncapi.json"
#: In the package, for `doseqr schema`.
EXAMPLES = ROOT / "shared" / "contract" / "documents" / "examples.json"
OPENAPI = ROOT / "docs" / "openapi.json"
CODES = ROOT / "docs" / "codes.md"


@functools.cache
def documents() -> dict[Path, str]:
    """Return the text of every generated file by its path."""
    golden = {GOLDEN / f"{kind}.json": message.body.decode() + "\n" for kind, message in messages().items()}
    made = {SCHEMAS / f"{kind}.json": _text(schema) for kind, schema in schemas().items()}
    examples = {kind: json.loads(message.body) for kind, message in messages().items()}
    return (
        golden
        | made
        | {
            conformance.PAGE: conformance.text_of_page(),
            EXAMPLES: _text(examples),
            ASYNCAPI: _text(asyncapi(ASYNCAPI_VERSION, examples)),
            OPENAPI: _text(document(operations())),
            CODES: codes_page(),
        }
        | conformance_files()
    )


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def main() -> None:
    """Write them all."""
    for path, text in documents().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
