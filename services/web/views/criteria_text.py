"""Criteria of a query as text, and the labels of their fields."""

from __future__ import annotations

from datetime import date

from services.web.language import gettext, lazy_gettext, ngettext, shown_day, shown_days, translated
from services.web.views.time_text import days_text
from shared.contract.criteria import IDENTIFIERS
from shared.contract.json_types import JsonDocument
from shared.errors import InvalidInputError
from shared.querying.payloads import AccessionSlice, StudyListSlice, StudySlice, read_slice

TYPE_NAMES = {
    "CT": "CT",
    "MG": lazy_gettext("Mammography"),
    "FL": lazy_gettext("Fluoroscopy"),
    "DX": lazy_gettext("Radiography"),
    "NM": lazy_gettext("Nuclear medicine"),
    "SR": lazy_gettext("Reports only"),
}

_SHORT_TYPES = {"SR": lazy_gettext("reports only")}

#: Label of each field.
LABELS = {
    "remote": lazy_gettext("Remote node"),
    "store": lazy_gettext("Store node"),
    "types": lazy_gettext("Modalities"),
    "date_from": lazy_gettext("From"),
    "date_until": lazy_gettext("Until"),
    "time_from": lazy_gettext("Time from"),
    "time_until": lazy_gettext("Time until"),
    "exclude_descriptions": lazy_gettext("Exclude by study description"),
    "keep_descriptions": lazy_gettext("Keep only by study description"),
    "exclude_stations": lazy_gettext("Exclude by station name"),
    "keep_stations": lazy_gettext("Keep only by station name"),
    "station_at_study_level": lazy_gettext("Station names at study level"),
    "include_sr_only": lazy_gettext("Include studies of reports only"),
    "ignore_known": lazy_gettext("Ignore what is already in the database"),
    "empty_sr": lazy_gettext("Get SR series without response at image level"),
    "toshiba": lazy_gettext("Toshiba CT"),
    "retrieve": lazy_gettext("Retrieve at once"),
    "accession_numbers": lazy_gettext("Accession numbers"),
    "study_instance_uids": lazy_gettext("Study Instance UIDs"),
}

_LISTS = (
    "exclude_descriptions",
    "keep_descriptions",
    "exclude_stations",
    "keep_stations",
    *IDENTIFIERS,
)
_OPTIONS = ("include_sr_only", "station_at_study_level", "empty_sr", "toshiba")
#: Most items of a list that are shown.
_SHOWN = 10


def criteria_rows(criteria: JsonDocument) -> list[tuple[str, str]]:
    """Return the criteria as labels and texts, without those left at their default."""
    types = [str(TYPE_NAMES.get(name, name)) for name in criteria.get("types", ())]
    rows = [(LABELS["types"], ", ".join(types) or gettext("None"))]
    if not any(criteria.get(name) for name in IDENTIFIERS):
        rows.append((gettext("Study dates"), _dates(criteria)))
    if criteria.get("time_from") or criteria.get("time_until"):
        times = gettext(
            "%(first)s to %(last)s",
            first=criteria.get("time_from") or "00:00",
            last=criteria.get("time_until") or "23:59",
        )
        rows.append((gettext("Times of day"), times))
    rows += [(LABELS[name], _listed(criteria[name])) for name in _LISTS if criteria.get(name)]
    options = [str(LABELS[name]) for name in _OPTIONS if criteria.get(name)]
    if not criteria.get("ignore_known", True):
        options.append(gettext("Also what is already in the database"))
    if options:
        rows.append((gettext("Options"), ", ".join(options)))
    return rows


def criteria_brief(criteria: JsonDocument, today: date) -> str:
    """Return the types and dates of a query in a few words; `today` is the day that it was requested."""
    types = ", ".join(str(_SHORT_TYPES.get(name, name)) for name in criteria.get("types", ())) or gettext(
        "No type"
    )
    return f"{types} \N{MIDDLE DOT} {_brief_dates(criteria, today)}"


def slice_text(payload: JsonDocument) -> str:
    """Return what a slice of the ledger searches: codes, days and times of day, or studies by name."""
    part = read_slice(payload)
    match part:
        case StudySlice(uid):
            return gettext("Study %(uid)s", uid=uid)
        case StudyListSlice(uids):
            return ngettext("%(number)s study UID", "%(number)s study UIDs", len(uids), number=len(uids))
        case AccessionSlice(number):
            return gettext("Accession number %(name)s", name=number)
    window = part.window
    codes = ", ".join(window.codes()) or gettext("any modality")
    text = f"{codes}; {_dates(payload)}"
    if window.time_from or window.time_until:
        begins, ends = payload.get("time_from"), payload.get("time_until")
        text += f", {begins or '00:00'}\N{EN DASH}{ends or '23:59'}"
    if part.again or part.rechecked:
        text += gettext("; once more")
    elif part.verifies is not None:
        text += gettext("; to check a window with %(matches)s", matches=part.verifies)
    return text


def _brief_dates(criteria: JsonDocument, today: date) -> str:
    if number := len(criteria.get("accession_numbers") or ()):
        return ngettext("%(number)s accession number", "%(number)s accession numbers", number, number=number)
    if number := len(criteria.get("study_instance_uids") or ()):
        return ngettext("%(number)s study UID", "%(number)s study UIDs", number, number=number)
    first, last = (_date(criteria.get(name)) for name in ("date_from", "date_until"))
    if first is None:
        return gettext("until %(day)s", day=days_text(last, last)) if last else gettext("all dates")
    text = days_text(first, max(first, last or today))
    begins, ends = criteria.get("time_from"), criteria.get("time_until")
    return f"{text}, {begins or '00:00'}\N{EN DASH}{ends or '23:59'}" if begins or ends else text


def _date(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value)) if value else None
    except ValueError:
        return None


def readable_problem(problem: str) -> str:
    """Return a problem as a sentence, with fields named by their labels."""
    problem = translated(problem)
    for name in ("date_from", "date_until", "time_from", "time_until", *IDENTIFIERS):
        problem = problem.replace(name, f"“{LABELS[name]}”")
    return problem[:1].upper() + problem[1:] + ("" if problem.endswith(".") else ".")


def named_problem(error: InvalidInputError) -> str:
    """Return what is wrong with a part of an address or a form that has no field of its own."""
    return gettext(
        "The %(field)s %(problem)s.", field=translated(error.field), problem=translated(error.problem)
    )


def _dates(criteria: JsonDocument) -> str:
    if parts := criteria.get("date_ranges"):
        return ", ".join(_dates(part) for part in parts)
    first, last = criteria.get("date_from"), criteria.get("date_until")
    if first and last:
        return shown_days(first, last)
    if first:
        return gettext("from %(day)s until the day of the query", day=shown_day(first))
    return gettext("until %(day)s", day=shown_day(last)) if last else gettext("all")


def _listed(items: list[str]) -> str:
    text = ", ".join(items[:_SHOWN])
    return (
        text
        if len(items) <= _SHOWN
        else gettext("%(names)s and %(number)s more", names=text, number=len(items) - _SHOWN)
    )
