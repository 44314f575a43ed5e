"""Attribute matching of C-FIND (PS3.4 C.2.2.2): universal, single value, UID list, wildcard, range; pure."""

import datetime as dt
import re
from collections.abc import Callable, Sequence

#: A test of the values that an entity has for one attribute; no values means that the attribute is empty.
Matcher = Callable[[Sequence[str]], bool]

#: Value representations whose matching takes wildcards (PS3.4 C.2.2.2.4).
WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_RANGE_VRS = frozenset({"DA", "TM", "DT"})
_TIME_DIGITS = 6


def match_key(vr: str, values: Sequence[str]) -> Matcher | None:
    """Return the test for one matching key, or None where the key is universal and matches everything."""
    wanted = [value.strip() for value in values]
    if not any(wanted):
        return None
    if vr in _RANGE_VRS:
        return _range_matcher(vr, wanted[0])
    if vr == "UI":
        return _list_matcher(wanted)
    if vr in WILDCARD_VRS:
        if all(value.strip("*") == "" for value in wanted):
            return None
        return _wildcard_matcher(wanted, ignore_case=vr == "PN")
    return _list_matcher(wanted)


def _list_matcher(wanted: Sequence[str]) -> Matcher:
    allowed = frozenset(wanted)
    return lambda values: any(value in allowed for value in values)


def _wildcard_matcher(wanted: Sequence[str], *, ignore_case: bool) -> Matcher:
    if not ignore_case and not any("*" in value or "?" in value for value in wanted):
        return _list_matcher(wanted)
    expression = "|".join(_wildcard_expression(value) for value in wanted if value)
    pattern = re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
    return lambda values: any(pattern.fullmatch(value) is not None for value in values)


def _wildcard_expression(value: str) -> str:
    escaped = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in value)
    return "(?:" + "".join(escaped) + ")"


def _range_matcher(vr: str, wanted: str) -> Matcher:
    low, high = split_range(wanted)
    lowest = _padded(vr, low, "0") if low else ""
    highest = _padded(vr, high, "9") if high else "\x7f"
    return lambda values: any(lowest <= _padded(vr, value, "0") <= highest for value in values if value)


def split_range(value: str) -> tuple[str, str]:
    """Return the two ends of a range; a single value is both ends, a missing end is empty."""
    if "-" not in value:
        return value.strip(), value.strip()
    low, _, high = value.partition("-")
    return low.strip(), high.strip()


def _padded(vr: str, value: str, fill: str) -> str:
    """Return a date or time in a form whose order as text is its order in time, filled up with `fill`."""
    value = value.replace(":", "").replace(".", "")
    width = {"DA": 8, "TM": _TIME_DIGITS + 6, "DT": 14 + 6}[vr]
    if vr == "DA":
        # ACR-NEMA's yyyy.mm.dd is covered by taking the dots out.
        return value
    return value.ljust(width, fill)


def date_window(value: str) -> tuple[dt.date | None, dt.date | None]:
    """Return first and last day of a DA matching key; an open or unreadable end is None."""
    low, high = split_range(value)
    return _date(low), _date(high)


def _date(value: str) -> dt.date | None:
    try:
        return dt.datetime.strptime(value.replace(".", ""), "%Y%m%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        return None


def match_dates_oddly(matcher: Matcher, wanted: str, how: str) -> Matcher:
    """Return the test of a date as archives have it that do not keep to the standard."""
    low, high = split_range(wanted)
    if "-" not in wanted:
        return (lambda _values: False) if how == "ranges_only" else matcher
    excluded = {"last_day_excluded": high, "first_day_excluded": low}.get(how)
    if excluded is not None:
        return lambda values: matcher(values) and excluded not in values
    return (lambda values: low in values) if how == "first_day_only" else matcher


def match_codes_oddly(matcher: Matcher, wanted: Sequence[str], how: str) -> Matcher:
    """Return the test of modality codes as archives have it that keep them in a way of their own."""
    if how == "empty":
        return lambda _values: False
    if how == "first_value":
        return lambda values: matcher(list(values)[:1])
    return (lambda values: list(values) == list(wanted)) if how == "whole_list" else matcher
