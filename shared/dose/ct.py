"""CT dose reports (PS3.16 TID 10011)."""

from __future__ import annotations

from shared.dose.concepts import (
    CT_ACCUMULATED,
    CT_ACQUISITION,
    CT_DLP_TOTAL,
    CT_DOSE,
    CT_EVENTS,
    CTDI_PHANTOM,
    DLP,
    MEAN_CTDI_VOL,
)
from shared.dose.figures import figure
from shared.dose.summary import Figure, Summary
from shared.dose.tree import Item


def is_ct(report: Item) -> bool:
    """Tell whether a report is one of CT."""
    return bool(report.all(CT_ACCUMULATED, CT_ACQUISITION))


def summarize_ct(report: Item) -> Summary:
    """Return total DLP, and CTDIvol and DLP of each event; a localizer has neither."""
    events = report.all(CT_ACQUISITION)
    counted = report.first(CT_EVENTS)
    figures: list[Figure] = []
    for total in report.all(CT_DLP_TOTAL):
        phantom = total.first(CTDI_PHANTOM)
        figures += figure("DLP total", total, of=phantom.code.meaning if phantom and phantom.code else "")
    for number, event in enumerate(events, start=1):
        for dose in event.all(CT_DOSE) or [event]:
            of = f"event {number}"
            figures += figure("CTDIvol", dose.first(MEAN_CTDI_VOL), of=of)
            figures += figure("DLP", dose.first(DLP), of=of)
    announced = int(counted.number) if counted is not None and counted.number else 0
    return Summary("ct", len(events) or announced, tuple(figures))
