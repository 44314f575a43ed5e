"""What has to be confirmed before a query is sent: many requests, or a year that is likely mistyped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from services.web.language import gettext, number_text
from shared.contract.criteria import Criteria, DateWindow
from shared.querying.estimate import Estimate

#: C-FIND requests from which a query has to be confirmed: to begin with, and as estimated in all.
SLICES_TO_CONFIRM, REQUESTS_TO_CONFIRM = 400, 20_000
#: The first year in which there may be studies; DICOM's own first edition is of 1985 (ACR-NEMA 300).
FIRST_YEAR = 1970


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What is to be confirmed, and the value by which it is confirmed: it holds for these criteria only."""

    text: str
    key: str


def confirmation(
    criteria: Criteria, days: DateWindow, known: Estimate, node: str, today: date
) -> Confirmation | None:
    """Return what has to be confirmed; None if the query may be sent as it is."""
    doubts = [text for text in (_year(days, today), _requests(known, node)) if text]
    if not doubts or criteria.accession_numbers or criteria.study_instance_uids:
        return None
    key = f"{days.date_from} {days.date_until} {' '.join(criteria.requested_types())} {known.slices}"
    return Confirmation(" ".join(doubts), key)


def _year(days: DateWindow, today: date) -> str:
    years = [day.year for day in (days.date_from, days.date_until) if day is not None]
    for year in years:
        if year < FIRST_YEAR or year > today.year + 1:
            return gettext("The year %(year)s may be mistyped: no archive holds studies of it.", year=year)
    return ""


def _requests(known: Estimate, node: str) -> str:
    if known.slices is None and known.days is not None:
        return gettext(
            "This query covers %(days)s days: it may send %(node)s as many C-FIND requests.",
            days=number_text(known.days),
            node=node,
        )
    number = max(known.slices or 0, round(known.requests.high) if known.requests is not None else 0)
    if (known.slices or 0) < SLICES_TO_CONFIRM and number < REQUESTS_TO_CONFIRM:
        return ""
    return gettext(
        "This query sends %(node)s about %(number)s C-FIND requests.", node=node, number=number_text(number)
    )
