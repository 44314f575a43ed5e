"""Places in a list as parts of an address: `?after=…`, `?before=…`, `?last=1`."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus

from flask import abort

from shared.reading.lists.keyset import KeyValue, ListPage, Place, RowT

#: Characters of a cursor; one of ours is far shorter.
MAX_LENGTH = 600

#: Reads one value of a key; raises ValueError or TypeError where it is none.
Reader = Callable[[object], KeyValue]


def cursor(key: Sequence[KeyValue]) -> str:
    """Return a key as text for an address."""
    values = [value.isoformat() if isinstance(value, datetime) else value for value in key]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode("ascii").rstrip("=")


def place_of(arguments: Mapping[str, str], *readers: Reader) -> Place:
    """Return the place that an address names; one that no page of ours gave is not found."""
    if arguments.get("after"):
        return Place(after=_key(arguments["after"], readers))
    if arguments.get("before"):
        return Place(before=_key(arguments["before"], readers))
    return Place(last=bool(arguments.get("last")))


def neighbours(
    page: ListPage[RowT], key: Callable[[RowT], Sequence[KeyValue]], chosen: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Return the arguments of the addresses of other pages by name; empty where there is none.

    `chosen` are those that the address of this page has besides its place.
    """
    found: dict[str, dict[str, str]] = {"first": {}, "previous": {}, "next": {}, "last": {}}
    rows = page.rows
    if page.has_previous:
        # A page behind the last row that there is has nothing to begin from: back to the first.
        found["first"] = {**chosen}
        found["previous"] = {**chosen, "before": cursor(key(rows[0]))} if rows else {**chosen, "last": "1"}
    if page.has_next and rows:
        found |= {"next": {**chosen, "after": cursor(key(rows[-1]))}, "last": {**chosen, "last": "1"}}
    return found


def _key(text: str, readers: Sequence[Reader]) -> tuple[KeyValue, ...]:
    if len(text) > MAX_LENGTH:
        abort(HTTPStatus.NOT_FOUND)
    try:
        values = json.loads(base64.urlsafe_b64decode(text.encode("ascii") + b"=="))
        return tuple(read(value) for read, value in zip(readers, values, strict=True))
    except (ValueError, TypeError, RecursionError):
        abort(HTTPStatus.NOT_FOUND)


def read_time(value: object) -> KeyValue:
    """Read a time with its zone."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    if moment is None or moment.tzinfo is None:
        raise ValueError("no time")
    return moment


def read_text(value: object) -> KeyValue:
    """Read a text."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("no text")
    return value


def read_number(value: object) -> KeyValue:
    """Read a number of an integer column."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 31:
        raise ValueError("no number")
    return value
