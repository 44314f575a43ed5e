"""From a content item to a figure."""

from __future__ import annotations

from shared.dose.summary import Figure
from shared.dose.tree import Item

#: Dose area products are spoken of in Gy.cm2; reports have one of these.
_TO_GY_CM2 = {
    "Gy.m2": 1e4,
    "Gym2": 1e4,
    "Gy.cm2": 1.0,
    "Gy.cm^2": 1.0,
    "cGy.cm2": 1e-2,
    "dGy.cm2": 0.1,
    "mGy.cm2": 1e-3,
}


def figure(name: str, item: Item | None, *, of: str = "") -> list[Figure]:
    """Return the number of an item as a figure; none where the report has no value for it."""
    if item is None or item.number is None:
        return []
    return [Figure(name, item.number, item.unit, of)]


def dose_area_product(name: str, item: Item | None, *, of: str = "") -> list[Figure]:
    """Return a dose area product in Gy.cm2, or as it is where its unit is unknown."""
    if item is None or item.number is None:
        return []
    factor = _TO_GY_CM2.get(item.unit)
    if factor is None:
        return figure(name, item, of=of)
    return [Figure(name, float(f"{item.number * factor:.6g}"), "Gy.cm2", of)]
