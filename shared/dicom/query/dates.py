"""Dates and times of matches (DA and TM, PS3.5 6.2), as PACS write them. Pure."""

from __future__ import annotations

import re
from datetime import date, time

#: The standard's form, and those with punctuation: ACR-NEMA's yyyy.mm.dd, yyyy-mm-dd.
_DATE = re.compile(r"(\d{4})([.-]?)(\d{2})\2(\d{2})", re.ASCII)

#: The standard's form, and ACR-NEMA's hh:mm:ss; minutes may be left out.
_TIME = re.compile(r"(\d{2})(?::?(\d{2}))?", re.ASCII)


def day_of(text: str | None) -> date | None:
    """Return the day of a date; None where none can be read, as in forms that begin with the day."""
    found = _DATE.match((text or "").strip())
    if found is None:
        return None
    try:
        return date(int(found[1]), int(found[3]), int(found[4]))
    except ValueError:
        return None


def minute_of(text: str | None) -> time | None:
    """Return the minute of a time of day; None where none can be read."""
    found = _TIME.match((text or "").strip())
    if found is None:
        return None
    try:
        return time(int(found[1]), int(found[2] or 0))
    except ValueError:
        return None
