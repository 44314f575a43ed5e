"""The payloads of a query's tasks, and how they are written to and read from the ledger. Pure.

The keys are read by other versions of this program: a query may have begun before an update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, time
from typing import Final

from shared.contract.criteria_fields import format_time
from shared.contract.json_types import JsonDocument, JsonObject
from shared.jobs.new_task import NewTask
from shared.querying.profile import Habit
from shared.querying.slices import Slice

SLICE: Final = "slice"
EXAMINE: Final = "examine"

#: Studies of one examination: few enough to end within minutes on a slow PACS that takes no UID lists.
STUDIES_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class WindowSlice:
    """A window of dates and codes to search, and how it came about."""

    window: Slice = field(default_factory=Slice)
    #: The number of matches of the window of which this is a part; its parts are compared with it.
    verifies: int | None = None
    #: Whether the window was searched before and nothing matched.
    again: bool = False
    #: How often in a row the window was split after a failure without a match.
    blind: int = 0
    #: Whether it is a piece of a window without beginning or end.
    ever: bool = False
    #: Whether it is a part of a day that has studies without a time.
    untimed: bool = False
    #: The number of matches, once the search is complete.
    matches: int | None = None
    #: Whether its code matched nothing, and these are the matches of a request without it.
    without_code: bool = False
    #: What was not known of the node when the search was complete, and the result depends on.
    unproven: tuple[Habit, ...] = ()
    #: Whether it is searched once more for what was learned since.
    rechecked: bool = False
    #: Whether it is searched once more at the end of a long search, for studies whose date was changed.
    late: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the slice is a window and proves nothing about another one."""
        return self.verifies is None and not (self.again or self.blind or self.untimed)


@dataclass(frozen=True, slots=True)
class StudySlice:
    """A single study."""

    study_instance_uid: str


@dataclass(frozen=True, slots=True)
class StudyListSlice:
    """Several studies, requested with one list of UIDs."""

    study_instance_uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccessionSlice:
    """The studies of an accession number."""

    accession_number: str


SlicePayload = WindowSlice | StudySlice | StudyListSlice | AccessionSlice


@dataclass(frozen=True, slots=True)
class Examination:
    """Studies to examine at SERIES and IMAGE level."""

    study_instance_uids: tuple[str, ...]


def slice_task(payload: SlicePayload) -> NewTask:
    """Return the task that searches a slice."""
    return NewTask(SLICE, to_json(payload))


def examine_tasks(study_instance_uids: Sequence[str], at_once: int = STUDIES_AT_ONCE) -> list[NewTask]:
    """Return the examinations of these studies, a few studies each."""
    return [
        NewTask(EXAMINE, {"studies": list(study_instance_uids[start : start + at_once])})
        for start in range(0, len(study_instance_uids), at_once)
    ]


def to_json(payload: SlicePayload) -> JsonObject:
    """Return a slice as the ledger keeps it; what is open is None, and what is not set has no key."""
    match payload:
        case StudySlice(uid):
            return {"study_instance_uid": uid}
        case StudyListSlice(uids):
            return {"study_instance_uids": [*uids]}
        case AccessionSlice(number):
            return {"accession_number": number}
        case WindowSlice():
            return {**window_json(payload.window), **_history_json(payload)}


def read_slice(payload: JsonDocument) -> SlicePayload:
    """Return the slice of a task in the ledger."""
    if "study_instance_uids" in payload:
        return StudyListSlice(tuple(payload["study_instance_uids"]))
    if "study_instance_uid" in payload:
        return StudySlice(payload["study_instance_uid"])
    if "accession_number" in payload:
        return AccessionSlice(payload["accession_number"])
    return WindowSlice(
        window=_window(payload),
        verifies=payload.get("verifies"),
        again=bool(payload.get("again")),
        blind=payload.get("blind", 0),
        ever=bool(payload.get("ever")),
        untimed=bool(payload.get("untimed")),
        matches=payload.get("answers"),
        without_code=bool(payload.get("without_code")),
        unproven=tuple(payload.get("unproven", ())),
        rechecked=bool(payload.get("rechecked")),
        late=bool(payload.get("late")),
    )


def with_matches(
    payload: JsonObject, matches: int, unproven: Sequence[Habit] = (), *, without_code: bool = False
) -> JsonObject:
    """Return the payload of a slice that is complete, with what is not known of its node."""
    depends: JsonObject = {"unproven": [*unproven]} if unproven else {}
    flags: JsonObject = {"without_code": True} if without_code else {}
    return {**payload, "answers": matches, **depends, **flags}


def read_examination(payload: JsonDocument) -> Examination:
    """Return the examination of a task in the ledger."""
    return Examination(tuple(payload["studies"]))


def window_json(window: Slice) -> dict[str, str | None]:
    """Return a window as plain values."""
    return {
        "code": window.code,
        "date_from": window.date_from.isoformat() if window.date_from else None,
        "date_until": window.date_until.isoformat() if window.date_until else None,
        "time_from": format_time(window.time_from) if window.time_from else None,
        "time_until": format_time(window.time_until) if window.time_until else None,
    }


def _history_json(payload: WindowSlice) -> dict[str, int]:
    names = ("again", "ever", "untimed", "without_code", "rechecked", "late")
    flags = {name: True for name in names if getattr(payload, name)}
    numbers = {"verifies": payload.verifies, "blind": payload.blind or None, "answers": payload.matches}
    return flags | {name: number for name, number in numbers.items() if number is not None}


def _window(payload: JsonDocument) -> Slice:
    return Slice(
        date_from=_date(payload.get("date_from")),
        date_until=_date(payload.get("date_until")),
        time_from=_time(payload.get("time_from")),
        time_until=_time(payload.get("time_until")),
        code=payload.get("code"),
    )


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _time(text: str | None) -> time | None:
    return time.fromisoformat(text) if text else None
