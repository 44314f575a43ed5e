"""Criteria of a query as text, and the labels of their fields."""

from __future__ import annotations

from datetime import date

from services.web.views.time_text import days_text
from shared.contract.criteria import IDENTIFIERS
from shared.contract.json_types import JsonDocument

TYPE_NAMES = {
    "CT": "CT",
    "MG": "Mammography",
    "FL": "Fluoroscopy",
    "DX": "Radiography",
    "NM": "Nuclear medicine",
    "SR": "Reports only",
}

_SHORT_TYPES = {"SR": "reports only"}

#: Label of each field.
LABELS = {
    "remote": "Remote node",
    "store": "Store node",
    "types": "Modalities",
    "date_from": "From",
    "date_until": "Until",
    "time_from": "Time from",
    "time_until": "Time until",
    "exclude_descriptions": "Exclude by study description",
    "keep_descriptions": "Keep only by study description",
    "exclude_stations": "Exclude by station name",
    "keep_stations": "Keep only by station name",
    "station_at_study_level": "Station names at study level",
    "include_sr_only": "Include studies of reports only",
    "ignore_known": "Ignore what is already in the database",
    "empty_sr": "Get SR series without response at image level",
    "toshiba": "Toshiba CT",
    "retrieve": "Retrieve at once",
    "accession_numbers": "Accession numbers",
    "study_instance_uids": "Study Instance UIDs",
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
    types = [TYPE_NAMES.get(name, name) for name in criteria.get("types", ())]
    rows = [(LABELS["types"], ", ".join(types) or "None")]
    if not any(criteria.get(name) for name in IDENTIFIERS):
        rows.append(("Study dates", _dates(criteria)))
    if criteria.get("time_from") or criteria.get("time_until"):
        times = f"{criteria.get('time_from') or '00:00'} to {criteria.get('time_until') or '23:59'}"
        rows.append(("Times of day", times))
    rows += [(LABELS[name], _listed(criteria[name])) for name in _LISTS if criteria.get(name)]
    options = [LABELS[name] for name in _OPTIONS if criteria.get(name)]
    if not criteria.get("ignore_known", True):
        options.append("Also what is already in the database")
    if options:
        rows.append(("Options", ", ".join(options)))
    return rows


def criteria_brief(criteria: JsonDocument, today: date) -> str:
    """Return the types and dates of a query in a few words; `today` is the day that it was requested."""
    types = ", ".join(_SHORT_TYPES.get(name, name) for name in criteria.get("types", ())) or "No type"
    return f"{types} \N{MIDDLE DOT} {_brief_dates(criteria, today)}"


def _brief_dates(criteria: JsonDocument, today: date) -> str:
    for name, noun in (("accession_numbers", "accession number"), ("study_instance_uids", "study UID")):
        if number := len(criteria.get(name) or ()):
            return f"{number} {noun}{'s' if number > 1 else ''}"
    first, last = (_date(criteria.get(name)) for name in ("date_from", "date_until"))
    if first is None:
        return f"until {days_text(last, last)}" if last else "all dates"
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
    for name in ("date_from", "date_until", "time_from", "time_until", *IDENTIFIERS):
        problem = problem.replace(name, f"“{LABELS[name]}”")
    return problem[:1].upper() + problem[1:] + ("" if problem.endswith(".") else ".")


def _dates(criteria: JsonDocument) -> str:
    if parts := criteria.get("date_ranges"):
        return ", ".join(_dates(part) for part in parts)
    first, last = criteria.get("date_from"), criteria.get("date_until")
    if first and last:
        return str(first) if first == last else f"{first} to {last}"
    if first:
        return f"from {first} until the day of the query"
    return f"until {last}" if last else "all"


def _listed(items: list[str]) -> str:
    text = ", ".join(items[:_SHOWN])
    return text if len(items) <= _SHOWN else f"{text} and {len(items) - _SHOWN} more"
