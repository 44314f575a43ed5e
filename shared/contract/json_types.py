"""The types of JSON, for what is written as JSON and for what was read and not validated yet."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

#: A JSON object that we make.
JsonObject = dict[str, JsonValue]

#: A JSON object that came back from the database or a file: whoever wrote it knows its keys and parses it.
JsonDocument = dict[str, Any]
