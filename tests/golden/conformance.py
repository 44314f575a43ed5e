"""Examples of each message for other systems, made from its schema: what is valid, what is not and why."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from shared.broker.port import Message
from shared.contract.criteria import parse_criteria
from shared.contract.messages import RunQuery
from shared.contract.schemas import schemas
from shared.errors import InvalidInputError
from shared.messaging.codec import decode_command, decode_event
from tests.golden.examples import messages

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "conformance" / "messages"

Json = dict[str, Any]
Place = tuple[str | int, ...]

#: Texts that fit some pattern or other of the contract; the first that fits is taken.
_TEXTS = (
    "A1",
    "1.2.840.113619.2.1",
    "2026-03-01",
    "08:30",
    "2026-03-01T08:30:00Z",
    "CT",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "2026-03-01T08:30:00+00:00",
    "pacs",
    "",
)
#: Characters of which a longest text is made; the first that gives one that fits is taken.
_FILLERS = ("a", "1", "A")
#: Items of a longest list that an example still shows.
_ITEMS_SHOWN = 1000
_LEVELS = 4
#: Stands for the schema of a field that must not be there.
_FORBIDDEN: Json = {"not": {}}
_WRONG_TYPES = {
    "string": 17,
    "integer": "seventeen",
    "number": "seventeen",
    "boolean": "yes",
    "array": {},
    "object": [],
    "null": 17,
}


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a message: where it is, its schema, and whether it must be there."""

    place: Place
    schema: Json
    required: bool

    @property
    def name(self) -> str:
        """The dotted path."""
        return ".".join(map(str, self.place))


def conformance_files() -> dict[Path, str]:
    """Return the text of each file: a type of message with its schema and examples.

    Valid examples that were released stay as they are: a message that was valid once is valid for ever.
    """
    files = {}
    for kind, schema in schemas().items():
        path = FOLDER / f"{kind}.json"
        released = json.loads(path.read_text(encoding="utf-8"))["valid"] if path.exists() else {}
        document = {
            "type": kind,
            "schema": schema,
            "valid": {**valid_examples(kind, schema), **released},
            "invalid": invalid_examples(kind, schema),
        }
        files[path] = _text(document)
    return files


def _text(document: Mapping[str, Any]) -> str:
    """Return a document with each example on a line of its own."""
    parts = [f'"type": {json.dumps(document["type"])}', f'"schema": {json.dumps(document["schema"])}']
    for name in ("valid", "invalid"):
        lines = (f"{json.dumps(title)}: {json.dumps(message)}" for title, message in document[name].items())
        parts.append(f'"{name}": {{\n' + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def valid_examples(kind: str, schema: Json) -> dict[str, Json]:
    """Return valid messages: whole, the least, with each optional field alone, at each bound."""
    whole = _example(kind)
    least = _least(whole, schema)
    found = {"whole": whole, "least": least}
    for field in _fields(schema):
        for what, value in _valid_values(field, schema, _value(whole, field.place)):
            found[f"{field.name}: {what}"] = _with(least, whole, field.place, value)
    fits = jsonschema.Draft202012Validator(schema).is_valid
    return {name: message for name, message in found.items() if fits(message) and is_taken(message)}


def invalid_examples(kind: str, schema: Json) -> dict[str, Json]:
    """Return messages that break one rule of the schema each."""
    whole = _example(kind)
    found: dict[str, Json] = {}
    for field in _fields(schema):
        for what, value in _invalid_values(field, schema):
            found[f"{field.name}: {what}"] = _with(whole, whole, field.place, value)
        if field.required:
            found[f"{field.name}: missing"] = _without(whole, field.place)
        if field.schema.get("additionalProperties") is False:
            known = _value(whole, field.place) or {}
            found[f"{field.name}: unknown field"] = _with(whole, whole, field.place, {**known, "surprise": 1})
    fits = jsonschema.Draft202012Validator(schema).is_valid
    return {
        name: message
        for name, message in found.items()
        if not fits(message) and not (".command." in kind and is_taken(message))
    }


def is_taken(message: Json) -> bool:
    """Return whether the services understand a message; of commands they forgive more than the schema."""
    decode = decode_command if ".command." in str(message.get("type")) else decode_event
    try:
        _, payload = decode(Message("any", json.dumps(message).encode(), "id"))
        if isinstance(payload, RunQuery):
            parse_criteria(payload.criteria)
    except InvalidInputError:
        return False
    return True


def _example(kind: str) -> Json:
    found: Json = json.loads(messages()[kind].body)
    return found


def _fields(schema: Json) -> list[_Field]:
    return list(_fields_below(schema, schema, (), _LEVELS))


def _fields_below(schema: Json, root: Json, place: Place, levels: int) -> Iterator[_Field]:
    if levels == 0:
        return
    required = schema.get("required", ())
    for name, given in schema.get("properties", {}).items():
        if given is False:
            yield _Field((*place, name), _FORBIDDEN, required=False)
            continue
        of_field = _resolved(given, root)
        yield _Field((*place, name), of_field, name in required)
        yield from _fields_below(of_field, root, (*place, name), levels - 1)
        if of_field.get("type") == "array":
            items = _resolved(of_field["items"], root)
            yield _Field((*place, name, 0), items, required=False)
            yield from _fields_below(items, root, (*place, name, 0), levels - 1)


def _resolved(schema: Json, root: Json) -> Json:
    if "$ref" not in schema:
        return schema
    found: Any = root
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return {**found, **{key: value for key, value in schema.items() if key != "$ref"}}


def _choices(schema: Json, root: Json) -> list[Json]:
    return [_resolved(choice, root) for choice in schema.get("anyOf", [schema])]


def _valid_values(field: _Field, root: Json, shown: Any) -> Iterator[tuple[str, Any]]:
    if not field.required and not isinstance(field.place[-1], int):
        value = shown if shown is not None else sample(field.schema, root)
        if value is not None:
            yield "alone", value
    for choice in _choices(field.schema, root):
        if choice.get("type") == "null":
            yield "null", None
        for value in choice.get("enum", ()):
            yield f"{value}", value
        for bound in ("minimum", "maximum"):
            if bound in choice:
                yield bound, choice[bound]
        if "maxLength" in choice:
            yield "longest", _filled(choice, choice["maxLength"])
        if 0 < choice.get("maxItems", 0) <= _ITEMS_SHOWN:
            item = sample(choice["items"], root)
            yield "most items", [item] * choice["maxItems"]


def _invalid_values(field: _Field, root: Json) -> Iterator[tuple[str, Any]]:
    choices = _choices(field.schema, root)
    types = {choice["type"] for choice in choices if "type" in choice}
    for wrong in ({"deep": [[]]}, *(_WRONG_TYPES[name] for name in sorted(types))):
        yield f"is {json.dumps(wrong)}", wrong
    if field.schema == _FORBIDDEN:
        yield "is there", "AA=="
    for choice in choices:
        for keyword, broken in _BROKEN.items():
            if keyword in choice:
                yield from broken(choice)
        if 0 < choice.get("maxItems", 0) <= _ITEMS_SHOWN:
            yield "too many items", [sample(choice["items"], root)] * (choice["maxItems"] + 1)


#: By a keyword of JSON Schema, the values that break it.
_BROKEN: Mapping[str, Callable[[Json], list[tuple[str, Any]]]] = {
    "const": lambda _: [("another value", "another")],
    "enum": lambda _: [("none of its values", "another")],
    "minimum": lambda schema: [("below the minimum", schema["minimum"] - 1)],
    "maximum": lambda schema: [("above the maximum", schema["maximum"] + 1)],
    "maxLength": lambda schema: [("too long", _filled(schema, schema["maxLength"] + 1))],
    "minLength": lambda _: [("empty", "")],
    "pattern": lambda _: [("empty", ""), ("of a wrong form", "\u00e4 *\\ ?"), ("of 65 characters", "a" * 65)],
    "minItems": lambda _: [("too few items", [])],
}


def sample(schema: Json, root: Json) -> Any:
    """Return a value that fits a schema: of its first choice."""
    choice = _choices(_resolved(schema, root), root)[0]
    if "const" in choice or "enum" in choice:
        return choice["const"] if "const" in choice else choice["enum"][0]
    make = _SAMPLES.get(choice.get("type", ""))
    return make(choice, root) if make is not None else None


def _sample_text(schema: Json, _: Json) -> str | None:
    fits = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).is_valid
    return next((text for text in _TEXTS if fits(text)), None)


def _sample_object(schema: Json, root: Json) -> Json:
    return {name: sample(schema["properties"][name], root) for name in schema.get("required", ())}


#: By the type of JSON Schema, what makes a value of it.
_SAMPLES: Mapping[str, Callable[[Json, Json], Any]] = {
    "string": _sample_text,
    "object": _sample_object,
    "array": lambda schema, root: [sample(schema["items"], root)] * max(1, schema.get("minItems", 0)),
    "integer": lambda schema, _: schema.get("minimum", 1),
    "number": lambda schema, _: schema.get("minimum", 1),
    "boolean": lambda _schema, _root: True,
}


def _filled(schema: Json, length: int) -> str:
    texts = [filler * length for filler in _FILLERS]
    fits = jsonschema.Draft202012Validator(schema).is_valid
    return next((text for text in texts if fits(text)), texts[0])


def _least(whole: Json, schema: Json) -> Json:
    """Return the message without all that may be left out, one after another."""
    fits = jsonschema.Draft202012Validator(schema).is_valid
    least = whole
    for field in _fields(schema):
        without = _without(least, field.place)
        if fits(without):
            least = without
    return least


def _value(message: Mapping[str, Any], place: Place) -> Any:
    found: Any = message
    for part in place:
        try:
            found = found[part]
        except (KeyError, IndexError, TypeError):
            return None
    return found


def _with(message: Json, whole: Json, place: Place, value: Any) -> Json:
    """Return the message with a value at a place; what is missing on the way is taken from the whole."""
    changed = copy.deepcopy(message)
    target: Any = changed
    for depth, part in enumerate(place[:-1], 1):
        if isinstance(target, dict) and part not in target:
            given = copy.deepcopy(_value(whole, place[:depth]))
            target[part] = given if given is not None else [] if isinstance(place[depth], int) else {}
        if isinstance(target, list) and not target:
            target.append({})
        target = target[part]
    if isinstance(target, list) and not target:
        target.append(value)
    else:
        target[place[-1]] = value
    return changed


def _without(message: Json, place: Place) -> Json:
    changed = copy.deepcopy(message)
    parent = _value(changed, place[:-1])
    if isinstance(parent, dict):
        parent.pop(place[-1], None)
    return changed
