"""The figures of a dose report in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

REPORT_KINDS = {
    "ct": "CT",
    "projection": "Projection X-ray",
    "mammography": "Mammography",
    "radiopharmaceutical": "Radiopharmaceutical",
    "other": "No dose figures known",
}

UNREADABLE_REASONS = {
    "no_content": "It has no content.",
    "malformed": "Its content is malformed.",
    "too_deep": "Its content is nested deeper than any dose report.",
    "too_large": "It is larger than any dose report.",
    "defect": "Reading it failed; the log of the store service names the place.",
    "compressed": "Its content is compressed.",
    "no_file": "Its file could not be opened.",
}

_UNITS = {"mGy.cm": "mGy·cm", "mGycm": "mGy·cm", "Gy.cm2": "Gy·cm²", "Gy.m2": "Gy·m²"}

#: Most figures of single events on the page; the export has all.
_EVENTS_SHOWN = 4


def key_figures(summary: Mapping[str, Any]) -> str:
    """Return totals, and for CT and mammography without totals the figures of the first events."""
    figures = summary["figures"]
    totals = [figure for figure in figures if not figure["of"].startswith("event ")]
    events = [figure for figure in figures if figure["of"].startswith("event ")]
    parts = [_single(total) for total in totals]
    if summary["kind"] == "ct" or not totals:
        parts += [_several(list(group)) for _, group in groupby(sorted(events, key=_name), key=_name)]
    return "; ".join(parts) or "no figures"


def _name(figure: Mapping[str, Any]) -> str:
    return str(figure["name"])


def _single(figure: Mapping[str, Any]) -> str:
    of = f" ({figure['of']})" if figure["of"] else ""
    return f"{figure['name']}{of} {_value(figure)}".strip()


def _several(figures: Sequence[Mapping[str, Any]]) -> str:
    shown = ", ".join(f"{figure['value']:.4g}" for figure in figures[:_EVENTS_SHOWN])
    more = ", …" if len(figures) > _EVENTS_SHOWN else ""
    return f"{figures[0]['name']} {shown}{more} {_unit(figures[0])}".strip()


def _value(figure: Mapping[str, Any]) -> str:
    return f"{figure['value']:.4g} {_unit(figure)}".strip()


def _unit(figure: Mapping[str, Any]) -> str:
    return _UNITS.get(figure["unit"], str(figure["unit"]))
