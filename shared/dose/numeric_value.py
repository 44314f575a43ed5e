"""Numeric Value (0040,A30A), a DS (PS3.5 6.2), as devices write it; pure."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Literal

#: Why a measurement has no number.
Problem = Literal["no_value", "several_values", "decimal_comma", "not_finite", "not_a_number"]

#: Longer texts are no numbers; a DS has at most 16 bytes.
MAX_LENGTH = 64
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?")
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")
#: As C libraries write it, that of Windows too (1.#QNAN).
_NOT_FINITE = re.compile(
    r"[+-]?(?:(?:nan|inf|infinity)(?:\(.*\))?|1\.?#(?:[qs]?nan|inf|ind)0*)", re.IGNORECASE
)


def read_decimal(text: str) -> tuple[Decimal | None, Problem | None]:
    """Return the number, or why there is none; nothing is guessed.

    A comma may be that of decimals or of thousands, so a number with one is no number.
    """
    text = text.strip(" \0\t\r\n")
    if not text:
        return None, "no_value"
    if "\\" in text:
        return None, "several_values"
    if len(text) <= MAX_LENGTH and _DECIMAL.fullmatch(text):
        number = Decimal(text)
        return (number, None) if math.isfinite(float(number)) else (None, "not_finite")
    if len(text) <= MAX_LENGTH and _NOT_FINITE.fullmatch(text):
        return None, "not_finite"
    return None, "decimal_comma" if len(text) <= MAX_LENGTH and _COMMA.fullmatch(text) else "not_a_number"


def plain(value: float) -> str:
    """Return a number without an exponent, with all its digits."""
    return format(Decimal(repr(float(value))), "f")
