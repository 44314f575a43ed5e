"""From a content item to a figure, dose area products in one unit; pure.

PS3.16 requires Gy.m2 (UCUM). Devices write other prefixes, separators, exponents and micro signs, and often
leave the separator out.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache

from shared.dose.summary import Figure
from shared.dose.tree import Item

DAP_UNIT = "Gy.cm2"

#: Powers of ten of the SI prefixes (UCUM table 1); micro as it is met, also as UTF-8 read as Latin-1.
_PREFIXES = {
    **{prefix: 3 * power for power, prefix in enumerate(("", "k", "M", "G", "T", "P", "E", "Z", "Y"))},
    **{prefix: -3 * power for power, prefix in enumerate(("m", "u", "n", "p", "f"), start=1)},
    **dict.fromkeys(("\u00b5", "\u03bc", "\u00c2\u00b5", "mc"), -6),
    "h": 2,
    "da": 1,
    "d": -1,
    "c": -2,
}
_GRAY, _METRE = "Gy", "m"
_SEPARATORS = " .*\u00b7\u22c5\u2219\u00d7-x"
_SUPERSCRIPTS = str.maketrans("\u2070\u00b9\u00b2\u00b3\u2074\u207b", "01234-")
_FACTOR = re.compile(
    rf"(?P<prefix>{'|'.join(sorted(map(re.escape, _PREFIXES), key=len, reverse=True))})"
    rf"(?P<base>{_GRAY}|{_METRE})"
    r"(?:(?:\^|\*\*)?(?P<exponent>-?[0-9]))?"
)
#: A unit is never longer (SH); the limit keeps the matching short.
_MAX_LENGTH = 32
#: What Gy.cm2 is in Gy.m2.
_GY_CM2 = Fraction(1, 10_000)


@cache
def dap_factor(unit: str) -> Fraction | None:
    """Return the factor from this unit to Gy.cm2; None if it is no unit of a dose area product."""
    text = unit.strip().strip("()[]").translate(_SUPERSCRIPTS)
    if len(text) > _MAX_LENGTH:
        return None
    power, gray, metres, position = 0, 0, 0, 0
    while position < len(text):
        factor = _FACTOR.match(text, position)
        if factor is None:
            return None
        exponent = int(factor["exponent"] or 1)
        power += _PREFIXES[factor["prefix"]] * exponent
        gray += exponent * (factor["base"] == _GRAY)
        metres += exponent * (factor["base"] == _METRE)
        position = _after_separator(text, factor.end())
    return Fraction(10) ** power / _GY_CM2 if (gray, metres) == (1, 2) else None


def _after_separator(text: str, position: int) -> int:
    """Return where the next factor begins; a separator at the end is no unit."""
    end = position
    while end < len(text) and text[end] in _SEPARATORS:
        end += 1
    return position if end == len(text) else end


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
