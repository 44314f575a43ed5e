"""The content tree of a structured report (PS3.3 C.17.3), as far as dose reports need it and no more.

Texts, names and dates of a report are not taken over: they may tell who the patient is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException

from shared.errors import DoseQRError

#: Items and depth of a tree beyond which it is no dose report that anybody wrote.
MAX_ITEMS = 50_000
MAX_DEPTH = 20

#: What pydicom raises when the bytes of an element are no value of its kind.
PARSE_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    OverflowError,
    BytesLengthException,
)

_LONGEST_TEXT = 64


class UnreadableReportError(DoseQRError):
    """A report whose content cannot be read; the text is a word for people and programs."""


@dataclass(frozen=True, slots=True)
class Code:
    """A coded entry (PS3.3 8.8): compared by value and scheme, shown by its meaning."""

    value: str
    scheme: str
    meaning: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Item:
    """A content item: its concept, and its number or code where it has one."""

    value_type: str
    concept: Code | None
    number: float | None
    unit: str
    code: Code | None
    items: tuple[Item, ...]

    def walk(self) -> Iterator[Item]:
        """Yield this item and all below it."""
        yield self
        for item in self.items:
            yield from item.walk()

    def all(self, *concepts: Code) -> list[Item]:
        """Return the items below this one with one of these concepts, at any depth."""
        return [item for child in self.items for item in child.walk() if item.concept in concepts]

    def first(self, *concepts: Code) -> Item | None:
        """Return the first of them."""
        return next(iter(self.all(*concepts)), None)


def content_of(ds: Dataset) -> Item:
    """Return the content tree of a report.

    Raises:
        UnreadableReportError: it has none, or one that is too deep, too large or broken.
    """
    try:
        if not ds.get("ContentSequence"):
            raise UnreadableReportError("no_content")
        return _Reader().item(ds, 0)
    except PARSE_ERRORS as error:
        raise UnreadableReportError("malformed") from error


class _Reader:
    """Reads one tree and counts its items."""

    def __init__(self) -> None:
        self._items = 0

    def item(self, ds: Dataset, depth: int) -> Item:
        self._items += 1
        if depth > MAX_DEPTH:
            raise UnreadableReportError("too_deep")
        if self._items > MAX_ITEMS:
            raise UnreadableReportError("too_large")
        number, unit = _measured(ds)
        return Item(
            value_type=str(ds.get("ValueType", ""))[:16],
            concept=_code(ds, "ConceptNameCodeSequence"),
            number=number,
            unit=unit,
            code=_code(ds, "ConceptCodeSequence"),
            items=tuple(self.item(child, depth + 1) for child in ds.get("ContentSequence") or ()),
        )


def _code(ds: Dataset, keyword: str) -> Code | None:
    entries = ds.get(keyword) or ()
    if not entries:
        return None
    entry = entries[0]
    return Code(
        _text(entry, "CodeValue"), _text(entry, "CodingSchemeDesignator"), _text(entry, "CodeMeaning")
    )


def _measured(ds: Dataset) -> tuple[float | None, str]:
    """Return number and unit (UCUM) of a measurement; some reports have the item and no value."""
    values = ds.get("MeasuredValueSequence") or ()
    if not values:
        return None, ""
    unit = _code(values[0], "MeasurementUnitsCodeSequence")
    return _number(values[0].get("NumericValue")), unit.value if unit else ""


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except PARSE_ERRORS:
        return None
    return number if math.isfinite(number) else None


def _text(ds: Dataset, keyword: str) -> str:
    return str(ds.get(keyword) or "").replace("\x00", "").strip()[:_LONGEST_TEXT]
