"""The content tree of a structured report (PS3.3 C.17.3), as far as dose reports need it and no more.

Texts, names and dates of a report are not taken over: they may identify the patient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue

from shared.dicom.query.character_sets import decoded_as
from shared.dose.concepts import Code, scheme_of
from shared.dose.numeric_value import Problem, read_decimal
from shared.dose.units import is_unit
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

#: Characters that are kept of a text.
_MAX_TEXT_LENGTH = 64
#: Bytes of an element beyond which it is not converted: no code, value type or number is so long.
_MAX_VALUE_BYTES = 1024


class UnreadableReportError(DoseQRError):
    """A report whose content cannot be read; the text is a word for people and programs."""


@dataclass(frozen=True, slots=True)
class Item:
    """A content item: its concept, and its number or code where it has one."""

    value_type: str
    concept: Code | None
    number: Decimal | None
    unit: str
    #: Why an item that should have a number has none.
    problem: Problem | None
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

    def outermost(self, *concepts: Code) -> list[Item]:
        """Return the items below this one with one of these concepts that are not within another of them."""
        return [
            found
            for child in self.items
            for found in ([child] if child.concept in concepts else child.outermost(*concepts))
        ]

    def code_of(self, *concepts: Code) -> Code | None:
        """Return the code of the first item below this one with one of these concepts."""
        item = self.first(*concepts)
        return item.code if item is not None else None


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
        value_type = _text(ds, "ValueType")[:16]
        number, unit, problem = _measured(ds, value_type)
        return Item(
            value_type=value_type,
            concept=_code(ds, "ConceptNameCodeSequence"),
            number=number,
            unit=unit,
            problem=problem,
            code=_code(ds, "ConceptCodeSequence"),
            items=tuple(self.item(child, depth + 1) for child in ds.get("ContentSequence") or ()),
        )


def _code(ds: Dataset, keyword: str) -> Code | None:
    entries = ds.get(keyword) or ()
    if not entries:
        return None
    entry = entries[0]
    value = _text(entry, "CodeValue") or _text(entry, "LongCodeValue")
    scheme = scheme_of(value, _text(entry, "CodingSchemeDesignator"), _text(entry, "CodingSchemeUID"))
    return Code(value, scheme, _text(entry, "CodeMeaning"))


def _measured(ds: Dataset, value_type: str) -> tuple[Decimal | None, str, Problem | None]:
    """Return number and unit (UCUM) of a measurement, and why there is no number; some have no value."""
    values: Sequence[Dataset] = ds.get("MeasuredValueSequence") or ()
    if not values:
        return None, "", "no_value" if value_type == "NUM" else None
    unit = _unit(values[0])
    if len(values) > 1:
        return None, unit, "several_values"
    number, problem = _numeric_value(values[0])
    if problem == "no_value":
        number, problem = _floating_point_value(values[0])
    return number, unit, problem


def _unit(measured: Dataset) -> str:
    """Return the unit, from its code, or its meaning where only that is one.

    A micro sign or an exponent may stand there as its byte of Latin-1, whatever character set is declared.
    """
    entries = measured.get("MeasurementUnitsCodeSequence") or ()
    if not entries:
        return ""
    keywords = ("CodeValue", "LongCodeValue", "CodeMeaning")
    texts = [text for keyword in keywords for text in _readings(entries[0], keyword) if text]
    return next((text for text in texts if is_unit(text)), texts[0] if texts else "")


def _readings(ds: Dataset, keyword: str) -> tuple[str, ...]:
    """Return a text as the declared character set has it, and in Latin-1."""
    element = _element(ds, keyword)
    text = _text(ds, keyword)
    if text.isascii() or not isinstance(element, RawDataElement) or not element.value:
        return (text,)
    return text, _cleaned(element.value.decode("latin-1"))


def _floating_point_value(measured: Dataset) -> tuple[Decimal | None, Problem | None]:
    """Return Floating Point Value (0040,A161), which stands beside the numeric one (PS3.3 C.18.1)."""
    try:
        value = measured.get("FloatingPointValue")
    except PARSE_ERRORS:
        value = None
    return read_decimal(repr(value)) if isinstance(value, float) else (None, "no_value")


def _numeric_value(measured: Dataset) -> tuple[Decimal | None, Problem | None]:
    """Return Numeric Value (0040,A30A) from its bytes: pydicom gives up a report in which it is no number."""
    element = _element(measured, "NumericValue")
    if element is None or element.value is None:
        return None, "no_value"
    if isinstance(element, RawDataElement) and element.VR not in _BINARY_VRS:
        raw = bytes(element.value)
        return read_decimal(raw[:_MAX_VALUE_BYTES].decode("latin-1"))
    value = measured.get("NumericValue") if isinstance(element, RawDataElement) else element.value
    if isinstance(value, MultiValue | list):
        return None, "several_values" if value else "no_value"
    return read_decimal(str(value))


#: VRs whose values are no text (PS3.5 6.2), met where a device errs in the VR.
_BINARY_VRS = frozenset(("FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"))


def _element(ds: Dataset, keyword: str) -> RawDataElement | DataElement | None:
    """Return an element as it was read, without converting its value."""
    return cast("RawDataElement | DataElement | None", ds.get_item(keyword))


def _text(ds: Dataset, keyword: str) -> str:
    element = _element(ds, keyword)
    if isinstance(element, RawDataElement) and element.value and len(element.value) > _MAX_VALUE_BYTES:
        return ""
    if isinstance(element, RawDataElement) and isinstance(element.value, bytes):
        text = decoded_as(element.value, _encodings(ds))
    else:
        text = str(ds.get(keyword) or "")
    return _cleaned(text)


def _cleaned(text: str) -> str:
    return text.replace("\x00", "").strip()[:_MAX_TEXT_LENGTH]


def _encodings(ds: Dataset) -> tuple[str, ...]:
    """Return the encodings that an item declares, or has from the data set around it."""
    declared = ds.original_character_set
    return (declared,) if isinstance(declared, str) else tuple(declared)
