"""Units of dose reports, in the spellings of devices, and their factors to one unit of each quantity; pure.

PS3.16 requires UCUM. Devices write other prefixes, separators, exponents and micro signs, often leave the
separator out, and use units of other editions (AGD in dGy) or from outside of the SI (mCi).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache


@dataclass(frozen=True, slots=True)
class Quantity:
    """What is measured: its unit here, and the exponents of gray, metre, becquerel and second."""

    unit: str
    dimension: tuple[int, int, int, int]


#: The units of PS3.16 (TID 10013, 10005, 10002, 10022), but the dose area product in Gy.cm2.
CTDI_VOL = GLANDULAR_DOSE = Quantity("mGy", (1, 0, 0, 0))
DOSE_LENGTH_PRODUCT = Quantity("mGy.cm", (1, 1, 0, 0))
DOSE_AREA_PRODUCT = Quantity("Gy.cm2", (1, 2, 0, 0))
REFERENCE_POINT_DOSE = Quantity("Gy", (1, 0, 0, 0))
ACTIVITY = Quantity("MBq", (0, 0, 1, 0))
TIME = Quantity("s", (0, 0, 0, 1))
_QUANTITIES = (CTDI_VOL, DOSE_LENGTH_PRODUCT, DOSE_AREA_PRODUCT, REFERENCE_POINT_DOSE, ACTIVITY, TIME)

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
#: What takes a prefix: its value, and the place of its dimension. A rad is 0.01 Gy, a curie 37 GBq.
_UNITS = {
    "Gy": (Fraction(1), 0),
    "RAD": (Fraction(1, 100), 0),
    "rad": (Fraction(1, 100), 0),
    "m": (Fraction(1), 1),
    "Bq": (Fraction(1), 2),
    "Ci": (Fraction(37_000_000_000), 2),
    "s": (Fraction(1), 3),
}
#: Times that take none, as they are written alone, in any case.
_TIMES = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), Fraction(1)),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), Fraction(60)),
    **dict.fromkeys(("h", "hr", "hour", "hours"), Fraction(3600)),
    "msec": Fraction(1, 1000),
}
_DIMENSIONS = 4
_SEPARATORS = " .*\u00b7\u22c5\u2219\u00d7-x"
#: A gray, in a unit that is in another case: UCUM has a form in capitals alone.
_GRAY = re.compile("gy", re.IGNORECASE)
#: Could be mega or milli.
_AMBIGUOUS = re.compile("(?<![A-Za-z])M(?:Gy|gy|gY)")
_SUPERSCRIPTS = str.maketrans("\u2070\u00b9\u00b2\u00b3\u2074\u207b", "01234-")


def _longest_first(names: dict[str, int] | dict[str, tuple[Fraction, int]]) -> str:
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))


_FACTOR = re.compile(
    rf"(?P<prefix>{_longest_first(_PREFIXES)})(?P<unit>{_longest_first(_UNITS)})"
    r"(?:(?:\^|\*\*)?(?P<exponent>[+-]?[0-9]))?"
)
#: A unit is never longer (SH); the limit keeps the matching short.
_MAX_LENGTH = 32


def is_unit(text: str) -> bool:
    """Return whether this is a unit of a quantity of dose reports, in some spelling."""
    return any(factor_to(quantity, text) is not None for quantity in _QUANTITIES)


@cache
def factor_to(quantity: Quantity, unit: str) -> Fraction | None:
    """Return the factor from this unit to that of the quantity; None if it is no unit of this quantity."""
    value = _value(unit) or _value(_in_usual_case(unit))
    own = _value(quantity.unit)
    if value is None or own is None or value[1] != quantity.dimension:
        return None
    return value[0] / own[0]


def _value(unit: str) -> tuple[Fraction, tuple[int, ...]] | None:
    """Return value and dimension of a unit; None if it cannot be read."""
    text = unit.strip().strip("()[]").translate(_SUPERSCRIPTS)
    if not text or len(text) > _MAX_LENGTH:
        return None
    if text.lower() in _TIMES:
        return _TIMES[text.lower()], TIME.dimension
    value, dimension, position = Fraction(1), [0] * _DIMENSIONS, 0
    while position < len(text):
        factor = _FACTOR.match(text, position)
        if factor is None:
            return None
        exponent = int(factor["exponent"] or 1)
        size, place = _UNITS[factor["unit"]]
        value *= (size * Fraction(10) ** _PREFIXES[factor["prefix"]]) ** exponent
        dimension[place] += exponent
        position = _after_separator(text, factor.end())
    return value, tuple(dimension)


def _in_usual_case(unit: str) -> str:
    """Return a unit of gray in the case of UCUM's symbols; empty where the case could mean two prefixes."""
    if _GRAY.search(unit) is None or _AMBIGUOUS.search(unit):
        return ""
    return _GRAY.sub("Gy", unit.lower())


def _after_separator(text: str, position: int) -> int:
    """Return where the next factor begins; a separator at the end is no unit."""
    end = position
    while end < len(text) and text[end] in _SEPARATORS:
        end += 1
    return position if end == len(text) else end
