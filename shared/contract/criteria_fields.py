"""The types of the fields of criteria: dates, times of day, terms, identifiers, from text or plain values."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from shared.contract.json_types import JsonObject
from shared.identifiers import Uid

#: Bounds of what is taken from outside; an LO of DICOM has 64 characters, an SH 16 (PS3.5 6.2).
MAX_TERMS = 200
MAX_TERM_LENGTH = 200
MAX_IDENTIFIERS = 1000
MAX_ACCESSION_NUMBER_LENGTH = 64

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"([0-9]{2}):?([0-9]{2})(?::00)?")
#: Unicode categories that a text to compare cannot hold: control characters and lone surrogates.
_NOT_TEXT = frozenset({"Cc", "Cs"})


def fold(text: str) -> str:
    """Return the text as it is compared: whatever its case, outer blanks and composition of accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).strip()


def split_terms(value: str | Iterable[str]) -> tuple[str, ...]:
    """Return the terms of comma-separated text: trimmed, empty ones ignored, each once whatever its case."""
    texts = [value] if isinstance(value, str) else value
    terms: dict[str, str] = {}
    for term in (part.strip() for text in texts for part in text.split(",")):
        if term:
            terms.setdefault(fold(term), term)
    return tuple(terms.values())


def split_identifiers(value: str | Iterable[str]) -> tuple[str, ...]:
    """Return the identifiers of comma-separated text or a list: trimmed, empty ones ignored, each once."""
    texts = value.split(",") if isinstance(value, str) else value
    return tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))


def parse_date(text: str) -> date:
    """Return the date of `yyyy-mm-dd`.

    Raises:
        ValueError: It is not written so, or there is no such date.
    """
    if not _DATE.fullmatch(text.strip()):
        raise ValueError("must be a date: yyyy-mm-dd")
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ValueError("there is no such date") from None


def parse_time(text: str) -> time:
    """Return the time of day of `hhmm`, or `hh:mm` (`hh:mm:00`): times are to the minute.

    Raises:
        ValueError: It is not written so, or there is no such time.
    """
    match = _TIME.fullmatch(text.strip())
    if not match:
        raise ValueError("must be a time of day to the minute: hhmm or hh:mm")
    try:
        return time(int(match[1]), int(match[2]))
    except ValueError:
        raise ValueError("there is no such time of day") from None


def format_time(value: time) -> str:
    """Return the time of day as `hh:mm`."""
    return f"{value.hour:02}:{value.minute:02}"


def wrong(sentence: str) -> PydanticCustomError:
    """Return an error that pydantic passes on as it is."""
    return PydanticCustomError("criteria", "{sentence}", {"sentence": sentence})


def _reads(parse: Callable[[str], date | time], ready: type[date | time]) -> BeforeValidator:
    """Return a validator: ready values pass, text is parsed.

    Empty text is refused: it is what a template yields whose variable is not set, and without days the whole
    archive is meant.
    """

    def validate(value: object) -> object:
        if value is None:
            return None
        if isinstance(value, ready) and not isinstance(value, datetime):
            value = value.isoformat()
        if not isinstance(value, str):
            raise wrong("must be text")
        if not value.strip():
            raise wrong("must not be empty: leave it out where there is no limit")
        try:
            return parse(value)
        except ValueError as error:
            raise wrong(str(error)) from None

    return BeforeValidator(validate)


def _splits(split: Callable[[str | Iterable[str]], tuple[str, ...]]) -> BeforeValidator:
    """Return a validator: text or a list of texts is split."""
    return BeforeValidator(lambda value: _split(value, split))


def _split(value: object, split: Callable[[str | Iterable[str]], tuple[str, ...]]) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return split(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return split(value)
    raise wrong("must be comma-separated text or a list of texts")


def _identifiers(value: object) -> tuple[str, ...]:
    """Split identifiers; what was given and names nothing is refused, as it would mean every study."""
    found = _split(value, split_identifiers)
    if not found and value is not None and value not in ([], ()):
        raise wrong("names no study: leave it out to query by date")
    return found


def _plain(text: str) -> str:
    if any(unicodedata.category(character) in _NOT_TEXT for character in text):
        raise wrong("must hold no control characters")
    return text


def _exact(text: str) -> str:
    if set(text) & set("\\*?"):
        raise wrong("must hold no wildcard and no backslash")
    return text


def any_case(names: Iterable[str]) -> str:
    """Return the pattern of one of these names, in upper or lower case."""
    return "|".join("".join(f"[{letter}{letter.lower()}]" for letter in name) for name in names)


def whole(pattern: str) -> str:
    """Return the pattern of a text that is this, with blanks around it."""
    return rf"^\s*(?:{pattern})\s*$"


def text_list_schema(items: JsonObject, max_items: int, item: str) -> WithJsonSchema:
    """Return the JSON Schema of a list that may also be text of items of this pattern between commas."""
    texts = {"type": "array", "items": items, "maxItems": max_items}
    text = rf"^\s*(?:{item})?\s*(?:,\s*(?:{item})?\s*)*$"
    return WithJsonSchema({"anyOf": [texts, {"type": "string", "pattern": text}]})


def _identifiers_schema(items: JsonObject, item: str) -> WithJsonSchema:
    """Return the JSON Schema of identifiers: an empty list, or at least one among empty texts."""
    texts = {
        "type": "array",
        "items": items,
        "maxItems": MAX_IDENTIFIERS,
        "anyOf": [{"maxItems": 0}, {"contains": {"type": "string", "pattern": r"\S"}}],
    }
    pattern = rf"^\s*(?:{item})?\s*(?:,\s*(?:{item})?\s*)*$"
    text = {"type": "string", "pattern": pattern, "not": {"pattern": r"^[\s,]*$"}}
    return WithJsonSchema({"anyOf": [texts, text]})


def _or_null(schema: JsonObject) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [schema, {"type": "null"}]})


def _serialize_time(value: time | None) -> str | None:
    return None if value is None else format_time(value)


#: Patterns of JSON Schema (ECMA-262) for what the validators take.
_CONTROL = r"\u0000-\u001f\u007f-\u009f"
_TERM_ITEM = f"[^{_CONTROL}]*"
_ACCESSION_ITEM = rf"[^*?\\{_CONTROL}]*"
_UID_ITEM = r"[0-9]+(?:\.[0-9]+)*"

Day = Annotated[date | None, _reads(parse_date, date), _or_null({"type": "string", "format": "date"})]
Minute = Annotated[
    time | None,
    _reads(parse_time, time),
    PlainSerializer(_serialize_time, return_type=str | None, when_used="json"),
    _or_null({"type": "string", "pattern": "^([01][0-9]|2[0-3]):?[0-5][0-9]$"}),
]
Term = Annotated[str, Field(max_length=MAX_TERM_LENGTH), BeforeValidator(_plain)]
Terms = Annotated[
    tuple[Term, ...],
    Field(max_length=MAX_TERMS),
    _splits(split_terms),
    text_list_schema(
        {"type": "string", "maxLength": MAX_TERM_LENGTH, "pattern": whole(_TERM_ITEM)},
        MAX_TERMS,
        _TERM_ITEM,
    ),
]
AccessionNumber = Annotated[
    str, Field(max_length=MAX_ACCESSION_NUMBER_LENGTH), BeforeValidator(_plain), BeforeValidator(_exact)
]
AccessionNumbers = Annotated[
    tuple[AccessionNumber, ...],
    Field(max_length=MAX_IDENTIFIERS),
    BeforeValidator(_identifiers),
    _identifiers_schema(
        {"type": "string", "maxLength": MAX_ACCESSION_NUMBER_LENGTH, "pattern": whole(_ACCESSION_ITEM)},
        _ACCESSION_ITEM,
    ),
]
Uids = Annotated[
    tuple[Uid, ...],
    Field(max_length=MAX_IDENTIFIERS),
    BeforeValidator(_identifiers),
    _identifiers_schema(dict(Uid.json_schema), _UID_ITEM),
]
_GivenDay = Annotated[date, _reads(parse_date, date), WithJsonSchema({"type": "string", "format": "date"})]


class DateRange(BaseModel):
    """Study dates from a day to a day, both inclusive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    date_from: _GivenDay
    date_until: _GivenDay

    @model_validator(mode="after")
    def _goes_forward(self) -> Self:
        if self.date_from > self.date_until:
            raise wrong(f"date_from, {self.date_from}, is after date_until, {self.date_until}")
        return self
