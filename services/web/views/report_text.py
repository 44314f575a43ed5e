"""The figures of a dose report in one line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from services.web.language import decimal_text, gettext, lazy_gettext
from shared.dose.summary import FigureJson
from shared.reading.summaries import BriefSummary, is_of_event

REPORT_KINDS = {
    "ct": "CT",
    "projection": lazy_gettext("Projection X-ray"),
    "mammography": lazy_gettext("Mammography"),
    "radiopharmaceutical": lazy_gettext("Radiopharmaceutical"),
    "other": lazy_gettext("No dose figures known"),
}

UNREADABLE_REASONS = {
    "no_content": lazy_gettext("It has no content."),
    "cut_off": lazy_gettext("Its file ends within its content."),
    "malformed": lazy_gettext("Its content is malformed."),
    "too_deep": lazy_gettext("Its content is nested deeper than any dose report."),
    "too_large": lazy_gettext("It is larger than any dose report."),
    "defect": lazy_gettext("Reading it failed; the log of the store service names the place."),
    "too_costly": lazy_gettext("Reading it takes more time or memory than any dose report."),
    "compressed": lazy_gettext("Its content is compressed."),
    "no_file": lazy_gettext("Its file could not be opened."),
}

#: Why a figure has no number (`shared.dose.numeric_value.Problem`).
_PROBLEMS = {
    "no_value": lazy_gettext("no value"),
    "several_values": lazy_gettext("several values"),
    "decimal_comma": lazy_gettext("has a comma"),
    "not_finite": lazy_gettext("no finite number"),
    "not_a_number": lazy_gettext("no number"),
}

_UNITS = {"mGy.cm": "mGy·cm", "mGycm": "mGy·cm", "Gy.cm2": "Gy·cm²", "Gy.m2": "Gy·m²"}

#: Most figures of single events on the page; the export has all.
EVENTS_SHOWN = 4
#: Significant digits of a number on the page.
_DIGITS = 4


def key_figures(summary: BriefSummary) -> str:
    """Return the totals of a brief summary; for CT, or without totals, also the first events."""
    figures = summary["figures"]
    totals = [figure for figure in figures if not is_of_event(figure)]
    events = [figure for figure in figures if is_of_event(figure)]
    parts = [_single(total) for total in totals]
    if summary["kind"] == "ct" or not totals:
        events.sort(key=_name_and_unit)
        parts += [_several(list(group)) for _, group in groupby(events, key=_name_and_unit)]
    if totals_not_shown := summary.get("totals_not_shown", 0):
        parts.append(gettext("%(number)s more totals", number=totals_not_shown))
    if unreadable := summary.get("unreadable_not_shown", 0):
        parts.append(
            gettext("1 figure of an event not readable")
            if unreadable == 1
            else f"{unreadable} figures of events not readable"
        )
    if left_out := summary.get("figures_left_out", 0):
        parts.append(gettext("%(number)s more only in the report itself", number=left_out))
    return "; ".join(parts) or gettext("no figures")


def plain_number(value: float) -> str:
    """Return a number in four significant digits, never fewer than its integer ones, without an exponent."""
    if not value:
        return "0"
    decimals = max(1, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}"
    return decimal_text(text.rstrip("0").rstrip("."))


def figure_value(value: float, unit: str) -> str:
    """Return a number with its unit."""
    return f"{plain_number(value)} {_UNITS.get(unit, unit)}".strip()


def _name_and_unit(figure: FigureJson) -> tuple[str, str]:
    return str(figure["name"]), str(figure["unit"])


def _single(figure: FigureJson) -> str:
    # Code meanings set mass numbers between carets, as in "Fluorodeoxyglucose F^18^" (PS3.16, CID 25).
    of = f" ({figure['of'].replace('^', '')})" if figure["of"] else ""
    return f"{figure['name']}{of} {_value(figure)}".strip()


def _several(figures: Sequence[FigureJson]) -> str:
    values = (figure["value"] for figure in figures[:EVENTS_SHOWN])
    shown = gettext(", ").join(plain_number(value) for value in values if value is not None)
    more = gettext(", …") if len(figures) > EVENTS_SHOWN else ""
    return f"{figures[0]['name']} {shown}{more} {_unit(figures[0])}".strip()


def _value(figure: FigureJson) -> str:
    if figure["value"] is None:
        problem = figure.get("problem", "")
        return gettext("not readable (%(problem)s)", problem=_PROBLEMS.get(problem, problem))
    return f"{plain_number(figure['value'])} {_unit(figure)}".strip()


def _unit(figure: FigureJson) -> str:
    return _UNITS.get(figure["unit"], str(figure["unit"]))
