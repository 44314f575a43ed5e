"""From a content item to a figure in the unit of its quantity; pure."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from shared.dose.summary import Figure
from shared.dose.tree import Item
from shared.dose.units import Quantity, factor_to


def figures(name: str, items: Iterable[Item], quantity: Quantity, *, of: str = "") -> list[Figure]:
    """Return the measurements of items as figures of one name."""
    return [figure(name, item, quantity, of=of) for item in items]


def figure(name: str, item: Item, quantity: Quantity, *, of: str = "") -> Figure:
    """Return the measurement of an item as a figure, beside what the report has where that was converted.

    A unit that is not understood stays as it is, and so does a figure without a value.
    """
    if item.number is None:
        return Figure(name, None, item.unit, of, problem=item.problem or "no_value")
    value, factor = float(item.number), factor_to(quantity, item.unit)
    if factor is None or item.unit == quantity.unit:
        return Figure(name, value, item.unit, of)
    try:
        converted = float(Fraction(item.number) * factor)
    except OverflowError:
        return Figure(name, value, item.unit, of)
    return Figure(name, converted, quantity.unit, of, original_value=value, original_unit=item.unit)
