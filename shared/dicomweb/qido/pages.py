"""The pages of a QIDO-RS response (PS3.18 8.3.4.4): their matches, and whether they are all there is. Pure.

Matches in the DICOM JSON model (PS3.18 annex F) become the elements that a C-FIND response would hold. Only
text and numbers are taken; names of persons, sequences and bulk data are left out, as if not returned.

A page is never believed to be the last for being short: servers have limits of their own, of which few speak.
The request goes on behind what came, until nothing comes any more.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from shared.dicom.errors import Outcome, PeerError

_PARTIAL_CONTENT = 206

_CHARACTER_SET, _UTF_8 = 0x00080005, b"ISO_IR 192"
#: Attributes of one match, and values of one attribute, that are read.
_MOST_ATTRIBUTES, _MOST_VALUES = 2000, 1000

#: What is requested (PS3.18 8.7.3.2), and the media types that are read; some servers send none.
ACCEPT_JSON = "application/dicom+json, application/json;q=0.9"
_JSON = frozenset({"application/dicom+json", "application/json", ""})


def is_json(content_type: str) -> bool:
    """Return whether a Content-Type is one of matches."""
    return content_type.partition(";")[0].strip().lower() in _JSON


def matches_in(body: bytes) -> list[dict[int, bytes]]:
    """Return the elements of each match of a response; an empty body holds none.

    A match that is no object has no elements.

    Raises:
        PeerError: the body is no list of matches.
    """
    if not body.strip():
        return []
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        detail = f"a response that is no JSON ({type(error).__name__})"
        raise PeerError(Outcome.BAD_RESPONSE, detail) from error
    if not isinstance(document, list):
        raise PeerError(Outcome.BAD_RESPONSE, "a response that is no list of matches")
    return [_elements(match) for match in document]


def _elements(match: object) -> dict[int, bytes]:
    if not isinstance(match, dict) or len(match) > _MOST_ATTRIBUTES:
        return {}
    elements = {_CHARACTER_SET: _UTF_8}
    for key, attribute in match.items():
        tag = _tag(key)
        values = attribute.get("Value") if isinstance(attribute, dict) else None
        if tag is not None and tag != _CHARACTER_SET and isinstance(values, list):
            elements[tag] = _encoded(values[:_MOST_VALUES])
    return elements


def _tag(key: str) -> int | None:
    try:
        return int(key, 16) if len(key) == 8 and key.isalnum() else None  # noqa: PLR2004 - ggggeeee
    except ValueError:
        return None


def _encoded(values: Sequence[object]) -> bytes:
    texts = [text for text in map(_text, values) if text]
    return "\\".join(texts).encode("utf-8", "replace")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 1 << 63 else ""
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else str(value)
    return ""


class PageEnd(Enum):
    """What follows after a page."""

    #: Nothing is left.
    COMPLETE = "complete"
    #: The next page has to be requested.
    GO_ON = "go on"
    #: The server returns what it returned before: it pays no heed to offsets.
    SAME_AGAIN = "same again"
    #: Pages overlap in part: the order changes from request to request, so something may lie between them.
    OVERLAPS = "overlaps"


@dataclass(slots=True)
class Pages:
    """The UIDs of the pages of one request."""

    #: Items that came, those that came twice included: where the next page begins.
    offset: int = 0
    _uids: set[str] = field(default_factory=set)

    def is_new(self, uid: str) -> bool:
        """Return whether no page before held this UID."""
        return uid not in self._uids

    def add(self, items: int, uids: Sequence[str]) -> PageEnd:
        """Take the number of items of a page, and the UIDs of those that have one."""
        if not items:
            return PageEnd.COMPLETE
        known = self._uids.intersection(uids)
        self.offset += items
        self._uids.update(uids)
        if not known:
            return PageEnd.GO_ON
        return PageEnd.SAME_AGAIN if len(known) == len(set(uids)) else PageEnd.OVERLAPS


#: Warnings that say nothing about the number of matches (PS3.18 10.6.3.3.1).
_HARMLESS = re.compile(r"fuzzy|coerce|charset|character set", re.IGNORECASE)


def announces_more(status: int, warning: str) -> bool:
    """Return whether a server says that it did not return everything.

    It does so by 206 Partial Content, or by a Warning 299 (PS3.18 10.6.3.3.1), whatever its text.
    """
    if status == _PARTIAL_CONTENT:
        return True
    return warning.lstrip().startswith("299") and _HARMLESS.search(warning) is None
