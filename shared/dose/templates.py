"""The templates of dose reports (PS3.16), each with its summary: which kind it is, and the figures in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from shared.dose import concepts
from shared.dose.figures import figure, figures
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
    Quantity,
)

#: More is no count that anybody wrote.
_MAX_EVENTS = 100_000


def summarize(report: Item) -> Summary:
    """Return what is in a report; one with several templates (a PET-CT's) has the kind of the first."""
    summaries = [summary for template in _TEMPLATES if (summary := template(report)) is not None]
    if not summaries:
        return _without_containers(report) or Summary("other", 0)
    found = tuple(figure for summary in summaries for figure in summary.figures)
    left_out = max(0, len(found) - MAX_FIGURES)
    return Summary(summaries[0].kind, summaries[0].events, found[:MAX_FIGURES], left_out)


def _ct(report: Item) -> Summary | None:
    """TID 10011: total DLP, and CTDIvol and DLP of each event; a localizer has neither."""
    if not report.all(concepts.CT_ACCUMULATED, concepts.CT_ACQUISITION):
        return None
    events = report.outermost(concepts.CT_ACQUISITION)
    doses = _dlp_totals(report)
    for number, event in enumerate(events, start=1):
        for dose in event.outermost(concepts.CT_DOSE) or [event]:
            doses += _ct_dose(dose, f"event {number}")
    return Summary("ct", len(events) or _count(report.first(concepts.CT_EVENTS)), tuple(doses))


def _dlp_totals(part: Item, of: str = "") -> list[Figure]:
    return [
        figure("DLP total", total, DOSE_LENGTH_PRODUCT, of=of or _name(total.code_of(concepts.CTDI_PHANTOM)))
        for total in part.all(concepts.CT_DLP_TOTAL)
    ]


def _ct_dose(dose: Item, of: str) -> list[Figure]:
    return [
        *figures("CTDIvol", dose.all(concepts.MEAN_CTDI_VOL), CTDI_VOL, of=of),
        *figures("DLP", dose.all(concepts.DLP), DOSE_LENGTH_PRODUCT, of=of),
    ]


def _projection(report: Item) -> Summary | None:
    """TID 10001: dose area product, dose at the reference point, fluoroscopy time, glandular doses."""
    parts, events = report.outermost(concepts.ACCUMULATED), report.outermost(concepts.IRRADIATION_EVENT)
    if not parts and not events:
        return None
    totals = [total for part in parts or [report] for total in _totals(part, _part_name(part))]
    return _of_events(events, totals, (), mammography=_is_mammography(totals, events))


def _enhanced(report: Item) -> Summary | None:
    """TID 10040, of Enhanced X-Ray Radiation Dose SR: totals of each X-ray source, and its events."""
    sources = report.outermost(concepts.ENHANCED_ACCUMULATED)
    events = report.outermost(concepts.ENHANCED_EVENT)
    if not sources and not events:
        return None
    totals: list[Figure] = []
    for number, source in enumerate(sources or [report], start=1):
        of = f"source {number}" if len(sources) > 1 else ""
        totals += [*_totals(source, of), *_dlp_totals(source, of)]
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


def _totals(part: Item, of: str) -> list[Figure]:
    """Return the totals below an item; each may name its own plane or side."""
    return [
        *_total("DAP total", concepts.DAP_TOTALS, DOSE_AREA_PRODUCT, part, of),
        *_total("dose at reference point total", concepts.DOSE_RP_TOTALS, REFERENCE_POINT_DOSE, part, of),
        *_total("fluoroscopy time total", {"": concepts.FLUORO_TIME_TOTAL}, TIME, part, of),
        *_total("AGD total", {"": concepts.ACCUMULATED_AGD}, GLANDULAR_DOSE, part, of),
    ]


def _total(
    name: str, concept_of: Mapping[str, concepts.Code], quantity: Quantity, part: Item, of: str
) -> list[Figure]:
    """Return the total of all, or without it those of the modes that it is made of."""
    has_whole = bool(part.first(concept_of[""]))
    return [
        figure(name, item, quantity, of=", ".join(filter(None, (_part_name(item) or of, mode))))
        for mode, concept in concept_of.items()
        if not (mode and has_whole)
        for item in part.all(concept)
    ]


def _part_name(part: Item) -> str:
    """Return the plane or side that an item names as its own."""
    plane = next((item.code for item in part.items if item.concept == concepts.ACQUISITION_PLANE), None)
    side = next((item.code for item in part.items if item.concept in concepts.LATERALITY), None)
    return _name(side).lower() or (_name(plane) if plane != concepts.SINGLE_PLANE else "")


def _name(code: concepts.Code | None) -> str:
    return code.name if code is not None else ""


def _event(event: Item, of: str) -> list[Figure]:
    side = _name(event.code_of(*concepts.LATERALITY)).lower()
    return [
        *figures("AGD", event.all(concepts.AGD), GLANDULAR_DOSE, of=", ".join(filter(None, (of, side)))),
        *figures("DAP", event.all(concepts.DAP), DOSE_AREA_PRODUCT, of=of),
        *figures("dose at reference point", event.all(concepts.DOSE_RP), REFERENCE_POINT_DOSE, of=of),
    ]


def _radiopharmaceutical(report: Item) -> Summary | None:
    """TID 10021: the administered activity of each agent."""
    administrations = report.outermost(concepts.ADMINISTRATION)
    if not administrations:
        return None
    activities = [activity for item in administrations for activity in _activities(item)]
    return Summary("radiopharmaceutical", len(administrations), tuple(activities))


def _activities(administration: Item) -> list[Figure]:
    agent = _name(administration.code_of(*concepts.AGENT))
    measured = administration.all(concepts.ADMINISTERED_ACTIVITY)
    return figures("administered activity", measured, ACTIVITY, of=agent)


def _without_containers(report: Item) -> Summary | None:
    """Find the figures of a report that lacks the containers of its template."""
    computed = [*_dlp_totals(report), *_ct_dose(report, "")]
    projected = [*_totals(report, ""), *_event(report, "")]
    kinds: tuple[tuple[Kind, list[Figure]], ...] = (
        ("ct", computed),
        ("mammography" if _is_mammography(projected, [report]) else "projection", projected),
        ("radiopharmaceutical", _activities(report)),
    )
    kind = next((kind for kind, figures in kinds if figures), None)
    if kind is None:
        return None
    events = _count(report.first(concepts.CT_EVENTS))
    return Summary(kind, events, tuple(figure for _, figures in kinds for figure in figures))


def _radiation_summary(report: Item) -> Summary | None:
    """Siemens' private summary, in Enhanced SRs of mobile C-arms; its exposures count as events."""
    if report.concept != concepts.SIEMENS_REPORT:
        return None
    totals = [
        *figures("DAP total", report.all(concepts.SIEMENS_DAP), DOSE_AREA_PRODUCT),
        *figures("air kerma total", report.all(concepts.SIEMENS_AIR_KERMA), REFERENCE_POINT_DOSE),
        *figures("fluoroscopy time total", report.all(concepts.SIEMENS_FLUORO_TIME), TIME),
    ]
    return Summary("projection", _count(report.first(concepts.SIEMENS_EXPOSURES)), tuple(totals))


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
