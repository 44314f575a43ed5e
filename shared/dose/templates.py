"""The templates of dose reports (PS3.16), each with its summary: which kind it is, and the figures in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from shared.dose import concepts
from shared.dose.figures import figure
from shared.dose.summary import MAX_FIGURES, Figure, Kind, Summary
from shared.dose.tree import Item
from shared.dose.units import (
    ACTIVITY,
    CTDI_VOL,
    DOSE_AREA_PRODUCT,
    DOSE_LENGTH_PRODUCT,
    GLANDULAR_DOSE,
    REFERENCE_POINT_DOSE,
    TIME,
)

#: More is no count that anybody wrote.
_MAX_EVENTS = 100_000


def summarize(report: Item) -> Summary:
    """Return what is in a report; one with several templates (a PET-CT's) has the kind of the first."""
    summaries = [summary for template in _TEMPLATES if (summary := template(report)) is not None]
    if not summaries:
        return Summary("other", 0)
    figures = tuple(figure for summary in summaries for figure in summary.figures)
    left_out = max(0, len(figures) - MAX_FIGURES)
    return Summary(summaries[0].kind, summaries[0].events, figures[:MAX_FIGURES], left_out)


def _ct(report: Item) -> Summary | None:
    """TID 10011: total DLP, and CTDIvol and DLP of each event; a localizer has neither."""
    if not report.all(concepts.CT_ACCUMULATED, concepts.CT_ACQUISITION):
        return None
    events = report.all(concepts.CT_ACQUISITION)
    counted = report.first(concepts.CT_EVENTS)
    figures = [total for item in report.all(concepts.CT_DLP_TOTAL) for total in _dlp_total(item)]
    for number, event in enumerate(events, start=1):
        for dose in event.all(concepts.CT_DOSE) or [event]:
            figures += _ct_dose(dose, f"event {number}")
    return Summary("ct", len(events) or _count(counted), tuple(figures))


def _dlp_total(total: Item) -> list[Figure]:
    phantom = total.first(concepts.CTDI_PHANTOM)
    return figure(
        "DLP total", total, DOSE_LENGTH_PRODUCT, of=phantom.code.meaning if phantom and phantom.code else ""
    )


def _ct_dose(dose: Item, of: str) -> list[Figure]:
    return [
        *figure("CTDIvol", dose.first(concepts.MEAN_CTDI_VOL), CTDI_VOL, of=of),
        *figure("DLP", dose.first(concepts.DLP), DOSE_LENGTH_PRODUCT, of=of),
    ]


def _projection(report: Item) -> Summary | None:
    """TID 10001: dose area product, dose at the reference point, fluoroscopy time, glandular doses."""
    if not report.all(concepts.ACCUMULATED, concepts.IRRADIATION_EVENT):
        return None
    events = report.all(concepts.IRRADIATION_EVENT)
    totals = [total for part in report.all(concepts.ACCUMULATED) for total in _totals(part, _plane(part))]
    return _of_events(events, totals, (), mammography=_is_mammography(totals, events))


def _enhanced(report: Item) -> Summary | None:
    """TID 10040, of Enhanced X-Ray Radiation Dose SR: totals of each X-ray source, and its events."""
    sources = report.all(concepts.ENHANCED_ACCUMULATED)
    events = report.all(concepts.ENHANCED_EVENT)
    if not sources and not events:
        return None
    totals: list[Figure] = []
    for number, source in enumerate(sources, start=1):
        of = f"source {number}" if len(sources) > 1 else ""
        totals += _totals(source, of)
        totals += [
            total
            for item in source.all(concepts.CT_DLP_TOTAL)
            for total in figure("DLP total", item, DOSE_LENGTH_PRODUCT, of=of)
        ]
    computed = [
        dose for number, event in enumerate(events, start=1) for dose in _ct_dose(event, f"event {number}")
    ]
    if computed or any(total.name == "DLP total" for total in totals):
        return _of_events(events, totals, computed, kind="ct")
    return _of_events(events, totals, (), mammography=_is_mammography(totals, events))


def _of_events(
    events: Sequence[Item],
    totals: Sequence[Figure],
    more: Iterable[Figure],
    *,
    kind: Kind = "projection",
    mammography: bool = False,
) -> Summary:
    doses = [
        dose for number, event in enumerate(events, start=1) for dose in _event(event, f"event {number}")
    ]
    return Summary("mammography" if mammography else kind, len(events), (*totals, *more, *doses))


def _is_mammography(totals: Sequence[Figure], events: Sequence[Item]) -> bool:
    return any(total.name == "AGD total" for total in totals) or any(
        event.first(concepts.AGD) for event in events
    )


def _plane(part: Item) -> str:
    plane = part.first(concepts.ACQUISITION_PLANE)
    return plane.code.meaning if plane and plane.code and plane.code != concepts.SINGLE_PLANE else ""


def _totals(part: Item, of: str) -> list[Figure]:
    return [
        *figure("DAP total", part.first(concepts.DAP_TOTAL), DOSE_AREA_PRODUCT, of=of),
        *figure(
            "dose at reference point total", part.first(concepts.DOSE_RP_TOTAL), REFERENCE_POINT_DOSE, of=of
        ),
        *figure("fluoroscopy time total", part.first(concepts.FLUORO_TIME_TOTAL), TIME, of=of),
        *(
            total
            for agd in part.all(concepts.ACCUMULATED_AGD)
            for total in figure("AGD total", agd, GLANDULAR_DOSE, of=_side(agd) or of)
        ),
    ]


def _event(event: Item, of: str) -> list[Figure]:
    side = _side(event)
    return [
        *figure("AGD", event.first(concepts.AGD), GLANDULAR_DOSE, of=of + (f", {side}" if side else "")),
        *figure("DAP", event.first(concepts.DAP), DOSE_AREA_PRODUCT, of=of),
        *figure("dose at reference point", event.first(concepts.DOSE_RP), REFERENCE_POINT_DOSE, of=of),
    ]


def _side(item: Item) -> str:
    laterality = item.first(*concepts.LATERALITY)
    return laterality.code.meaning.lower() if laterality and laterality.code else ""


def _radiopharmaceutical(report: Item) -> Summary | None:
    """TID 10021: the administered activity of each agent."""
    administrations = report.all(concepts.ADMINISTRATION)
    if not administrations:
        return None
    figures: list[Figure] = []
    for administration in administrations:
        agent = administration.first(*concepts.AGENT)
        of = agent.code.meaning if agent and agent.code else ""
        figures += figure(
            "administered activity", administration.first(concepts.ADMINISTERED_ACTIVITY), ACTIVITY, of=of
        )
    return Summary("radiopharmaceutical", len(administrations), tuple(figures))


def _radiation_summary(report: Item) -> Summary | None:
    """Siemens' private summary, in Enhanced SRs of mobile C-arms; its exposures count as events."""
    if report.concept != concepts.SIEMENS_REPORT:
        return None
    figures = [
        *figure("DAP total", report.first(concepts.SIEMENS_DAP), DOSE_AREA_PRODUCT),
        *figure("air kerma total", report.first(concepts.SIEMENS_AIR_KERMA), REFERENCE_POINT_DOSE),
        *figure("fluoroscopy time total", report.first(concepts.SIEMENS_FLUORO_TIME), TIME),
    ]
    return Summary("projection", _count(report.first(concepts.SIEMENS_EXPOSURES)), tuple(figures))


def _count(item: Item | None) -> int:
    number = item.number if item is not None else None
    return int(number) if number is not None and 0 < number < _MAX_EVENTS else 0


_TEMPLATES: tuple[Callable[[Item], Summary | None], ...] = (
    _ct,
    _projection,
    _enhanced,
    _radiopharmaceutical,
    _radiation_summary,
)
