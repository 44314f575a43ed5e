"""The private radiation summary that Siemens' mobile C-arms write into an Enhanced SR."""

from __future__ import annotations

from shared.dose.figures import dose_area_product, figure
from shared.dose.summary import Summary
from shared.dose.tree import Code, Item

_SCHEME = "99SMS_RADSUM"
REPORT = Code("C-10", _SCHEME)
EXPOSURES = Code("C-200", _SCHEME)
FLUORO_TIME = Code("C-202", _SCHEME)
DAP = Code("C-204", _SCHEME)
AIR_KERMA = Code("C-210", _SCHEME)
#: More is no count that anybody wrote.
_MOST_EXPOSURES = 100_000


def is_radiation_summary(report: Item) -> bool:
    """Tell whether a report is such a summary."""
    return report.concept == REPORT


def summarize_radiation_summary(report: Item) -> Summary:
    """Return dose area product, air kerma and fluoroscopy time; its events are its exposures."""
    exposures = report.first(EXPOSURES)
    number = (exposures.number if exposures else None) or 0
    events = int(number) if 0 < number < _MOST_EXPOSURES else 0
    figures = [
        *dose_area_product("DAP total", report.first(DAP)),
        *figure("air kerma total", report.first(AIR_KERMA)),
        *figure("fluoroscopy time total", report.first(FLUORO_TIME)),
    ]
    return Summary("projection", events, tuple(figures))
