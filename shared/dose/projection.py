"""Projection X-ray dose reports (PS3.16 TID 10001), mammography among them."""

from __future__ import annotations

from shared.dose.concepts import (
    ACCUMULATED,
    ACCUMULATED_AGD,
    ACQUISITION_PLANE,
    AGD,
    DAP,
    DAP_TOTAL,
    DOSE_RP,
    DOSE_RP_TOTAL,
    FLUORO_TIME_TOTAL,
    IRRADIATION_EVENT,
    LATERALITY,
    SINGLE_PLANE,
)
from shared.dose.figures import dose_area_product, figure
from shared.dose.summary import Figure, Summary
from shared.dose.tree import Item


def is_projection(report: Item) -> bool:
    """Tell whether a report is one of projection X-ray."""
    return bool(report.all(ACCUMULATED, IRRADIATION_EVENT))


def summarize_projection(report: Item) -> Summary:
    """Return dose area product, dose at the reference point, fluoroscopy time; glandular doses by side."""
    events = report.all(IRRADIATION_EVENT)
    figures = [total for part in report.all(ACCUMULATED) for total in _totals(part)]
    glandular = [dose for number, event in enumerate(events, start=1) for dose in _glandular(number, event)]
    is_mammography = bool(glandular) or any(total.name == "AGD total" for total in figures)
    if is_mammography:
        return Summary("mammography", len(events), tuple(figures + glandular))
    single = [dose for number, event in enumerate(events, start=1) for dose in _event(number, event)]
    return Summary("projection", len(events), tuple(figures + single))


def _totals(part: Item) -> list[Figure]:
    plane = part.first(ACQUISITION_PLANE)
    of = plane.code.meaning if plane and plane.code and plane.code != SINGLE_PLANE else ""
    return [
        *dose_area_product("DAP total", part.first(DAP_TOTAL), of=of),
        *figure("dose at reference point total", part.first(DOSE_RP_TOTAL), of=of),
        *figure("fluoroscopy time total", part.first(FLUORO_TIME_TOTAL), of=of),
        *(total for agd in part.all(ACCUMULATED_AGD) for total in figure("AGD total", agd, of=_side(agd))),
    ]


def _glandular(number: int, event: Item) -> list[Figure]:
    side = _side(event)
    return figure("AGD", event.first(AGD), of=f"event {number}" + (f", {side}" if side else ""))


def _event(number: int, event: Item) -> list[Figure]:
    of = f"event {number}"
    return [
        *dose_area_product("DAP", event.first(DAP), of=of),
        *figure("dose at reference point", event.first(DOSE_RP), of=of),
    ]


def _side(item: Item) -> str:
    laterality = item.first(*LATERALITY)
    return laterality.code.meaning.lower() if laterality and laterality.code else ""
