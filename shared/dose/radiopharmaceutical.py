"""Radiopharmaceutical dose reports (PS3.16 TID 10021)."""

from __future__ import annotations

from shared.dose.concepts import ADMINISTERED_ACTIVITY, ADMINISTRATION, AGENT
from shared.dose.figures import figure
from shared.dose.summary import Figure, Summary
from shared.dose.tree import Item


def is_radiopharmaceutical(report: Item) -> bool:
    """Tell whether a report is one of an administered radiopharmaceutical."""
    return bool(report.all(ADMINISTRATION))


def summarize_radiopharmaceutical(report: Item) -> Summary:
    """Return the administered activity of each agent."""
    administrations = report.all(ADMINISTRATION)
    figures: list[Figure] = []
    for administration in administrations:
        agent = administration.first(*AGENT)
        of = agent.code.meaning if agent and agent.code else ""
        figures += figure("administered activity", administration.first(ADMINISTERED_ACTIVITY), of=of)
    return Summary("radiopharmaceutical", len(administrations), tuple(figures))
