"""Values made up from a JSON Schema alone, as another system would that has nothing else of the contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import strategies as st

SCHEMAS = Path(__file__).parents[3] / "docs/schemas"
#: Items of a list without a limit, and characters of a text without one.
_ITEMS, _CHARACTERS = 3, 40
#: What a schema that says nothing of its value allows, but for lists and objects.
_ANYTHING = st.none() | st.booleans() | st.integers() | st.text(max_size=_CHARACTERS)

Json = dict[str, Any]
Values = st.SearchStrategy[Any]


@cache
def commands() -> dict[str, Json]:
    """Return the schema of each command that services take from a queue, by its type."""
    found = sorted(
        set(SCHEMAS.glob("doseqr.command.*.json")) - set(SCHEMAS.glob("doseqr.command.worker.*.json"))
    )
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in found}


def values(schema: Json, root: Json | None = None) -> Values:
    """Return a strategy for values of a schema; of conditions over several fields it knows nothing."""
    root = schema if root is None else root
    if "$ref" in schema:
        return values(_definition(schema["$ref"], root), root)
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "type" in schema:
        return _TYPES[schema["type"]](schema, root)
    if "anyOf" in schema:
        return st.one_of([values(choice, root) for choice in schema["anyOf"]])
    return _ANYTHING


def _definition(reference: str, root: Json) -> Json:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def _objects(schema: Json, root: Json) -> Values:
    fields = {
        name: values(of_field, root)
        for name, of_field in schema.get("properties", {}).items()
        # A field may be forbidden by name.
        if of_field is not False
    }
    needed = {name: value for name, value in fields.items() if name in schema.get("required", ())}
    others = {name: value for name, value in fields.items() if name not in needed}
    return st.fixed_dictionaries(needed, optional=others)


def _arrays(schema: Json, root: Json) -> Values:
    least, most = schema.get("minItems", 0), min(schema.get("maxItems", _ITEMS), _ITEMS)
    return st.lists(values(schema["items"], root), min_size=least, max_size=max(least, most))


def _texts(schema: Json, _: Json) -> Values:
    if schema.get("format") == "date":
        return st.dates().map(str)
    least, most = schema.get("minLength", 0), schema.get("maxLength", _CHARACTERS)
    if "pattern" in schema:
        matching: st.SearchStrategy[str] = st.from_regex(str(schema["pattern"]))
        return matching.map(lambda text: text.rstrip("\n")[:most])
    return st.text(min_size=least, max_size=min(most, max(least, _CHARACTERS)))


def _integers(schema: Json, _: Json) -> Values:
    return st.integers(schema.get("minimum", -(2**40)), schema.get("maximum", 2**40))


_TYPES: dict[str, Callable[[Json, Json], Values]] = {
    "object": _objects,
    "array": _arrays,
    "string": _texts,
    "integer": _integers,
    "number": lambda _schema, _root: st.floats(allow_nan=False, allow_infinity=False),
    "boolean": lambda _schema, _root: st.booleans(),
    "null": lambda _schema, _root: st.none(),
}


def damaged(body: Json, random: Random) -> Any:
    """Return a message with one thing wrong, somewhere."""
    target = random.choice([body, body.get("data") or body])
    name = random.choice(sorted(target.keys() - {"id"}))
    way = random.randrange(4)
    if way == 0:
        return {key: value for key, value in body.items() if key != name} if target is body else [body]
    if way == 1:
        target[name] = random.choice([None, [], {}, -1, "\u0000", "x" * 70_000, True, [[[]]]])
    elif way == 2:
        target["surprise"] = {"deep": [1]}
    else:
        body["type"] = random.choice(["doseqr.command.unknown.v1", "", "doseqr.command.query.v9"])
    return body
