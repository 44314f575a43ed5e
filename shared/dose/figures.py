"""From a content item to a figure."""

from __future__ import annotations

from fractions import Fraction

from shared.dose.summary import Figure
from shared.dose.tree import Item
from shared.dose.units import DAP_UNIT, dap_factor


def figure(name: str, item: Item | None, *, of: str = "") -> list[Figure]:
    """Return the measurement of an item as a figure, one without a value too; none where there is no item."""
    if item is None:
        return []
    value = None if item.number is None else float(item.number)
    return [Figure(name, value, item.unit, of, problem=item.problem or "")]


def dose_area_product(name: str, item: Item | None, *, of: str = "") -> list[Figure]:
    """Return a dose area product in Gy.cm2 beside what the report has; unconverted if its unit is unknown."""
    factor = None if item is None else dap_factor(item.unit)
    if item is None or item.number is None or factor is None or item.unit == DAP_UNIT:
        return figure(name, item, of=of)
    converted = float(f"{float(Fraction(item.number) * factor):.6g}")
    return [Figure(name, converted, DAP_UNIT, of, original_value=float(item.number), original_unit=item.unit)]
