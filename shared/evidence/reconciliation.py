"""A list from the RIS against what the ledger knows: the state of each line, and totals. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.evidence.coverage import monday
from shared.evidence.ris_list import RisLine


class LineState(StrEnum):
    """What is known of an examination, the best first: of several studies the best one counts."""

    HAS_DOSE = "has_dose"
    NOT_RETRIEVED = "not_retrieved"
    NO_DOSE_OBJECT = "no_dose_object"
    NOT_REQUESTED = "not_asked"
    NOT_IN_PACS = "not_in_pacs"


class Detail(StrEnum):
    """Why a line was not asked, or what stands behind its state."""

    NONE = ""
    #: The PACS was asked for the number or UID and named no study, or its day is complete without it.
    NAMED = "asked_by_number"
    DAY_COMPLETE = "day_complete"
    #: Found, but not decided: missing, or left out by a filter.
    NOT_SETTLED = "not_settled"
    #: Found, and of no requested type.
    OTHER_TYPE = "other_type"
    #: No query covers the day in full, or the line has no day.
    DAY_NOT_COMPLETE = "day_not_complete"
    #: The day is complete, but the PACS returned no accession number of any study of it.
    NO_ACCESSION_NUMBERS = "no_accession_numbers"


@dataclass(frozen=True, slots=True)
class StudyState:
    """A study that a line names."""

    study_instance_uid: str
    state: LineState
    detail: Detail = Detail.NONE
    type: str = ""
    job_id: str = ""


@dataclass(frozen=True, slots=True)
class ReconciledLine:
    """A line with its state, and the study that it rests on."""

    line: RisLine
    state: LineState
    detail: Detail = Detail.NONE
    study: StudyState | None = None


_ORDER = {state: rank for rank, state in enumerate(LineState)}

#: Without a study: not in the PACS for this reason, or not asked.
Absence = tuple[LineState, Detail]


def reconcile_line(line: RisLine, studies: Sequence[StudyState], absence: Absence) -> ReconciledLine:
    """Return the state of a line from the studies that it names; with none, that of their absence."""
    if not studies:
        return ReconciledLine(line, *absence)
    best = min(studies, key=lambda study: (_ORDER[study.state], study.study_instance_uid))
    return ReconciledLine(line, best.state, best.detail, best)


@dataclass(frozen=True, slots=True)
class Totals:
    """Lines by state: of all, by room, and by the Monday of the week; empty: none is given."""

    all: Mapping[LineState, int]
    by_room: Mapping[str, Mapping[LineState, int]]
    by_week: Mapping[str, Mapping[LineState, int]]


def totals(lines: Iterable[ReconciledLine]) -> Totals:
    """Count lines by state."""
    all_lines: Counter[LineState] = Counter()
    rooms: defaultdict[str, Counter[LineState]] = defaultdict(Counter)
    weeks: defaultdict[str, Counter[LineState]] = defaultdict(Counter)
    for entry in lines:
        week = monday(entry.line.day).isoformat() if entry.line.day is not None else ""
        all_lines[entry.state] += 1
        rooms[entry.line.room][entry.state] += 1
        weeks[week][entry.state] += 1
    return Totals(all_lines, dict(sorted(rooms.items())), dict(sorted(weeks.items())))
