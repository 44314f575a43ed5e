"""A list from the RIS against the ledger of a node. Nothing of the list is written anywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from shared.clock import iso
from shared.contract.criteria import CODES
from shared.contract.reasons import Reason
from shared.database.models import FoldedIdentifier, Node, Query, QueryStudy
from shared.evidence.csv_text import csv_line
from shared.evidence.day_proof import DayProofs, proof_of_type
from shared.evidence.reconciliation import (
    Absence,
    Detail,
    LineState,
    ReconciledLine,
    StudyState,
    reconcile_line,
    totals,
)
from shared.evidence.results import LineCounts, LineResult, ReconciliationResult
from shared.evidence.ris_list import RisLine, RisList
from shared.reading.evidence.arrivals import arrived_studies
from shared.reading.evidence.calendar import clockwork_of
from shared.reading.evidence.removed import RemovedDecision, decision_order, removed_decisions
from shared.reading.evidence.stored_headers import StoredCounts, stored_counts
from shared.reading.evidence.studies import batches, best_decisions, without_jit
from shared.reading.evidence.tallies import node_numbers, node_proofs
from shared.settings import Settings

#: Days over which absence can be proven by complete days: ten years up to the last line.
_PROVEN_DAYS = timedelta(days=3660)
#: No day before this one is proven.
_EARLIEST = date(1950, 1, 1)
_TYPES = tuple(name for name in CODES if name != "SR")
CSV_COLUMNS = (
    "line",
    "state",
    "detail",
    "accession_number",
    "study_instance_uid",
    "date",
    "room",
    "procedure",
    "type",
    "job",
    "headers",
)


def reconcile(
    session: Session, node: Node, ris_list: RisList, settings: Settings, now: datetime
) -> ReconciliationResult:
    """Return the state of each line of a list, and totals by room and week."""
    without_jit(session)
    absences = _absences(session, node, ris_list.lines, settings, now)
    lines: list[ReconciledLine] = []
    for batch in batches(ris_list.lines):
        lines += _batch(session, node.id, batch, absences)
    counted = totals(lines)
    stored = stored_counts(session, sorted({line.study.study_instance_uid for line in lines if line.study}))
    shown = [_line_json(line, stored) for line in lines]
    return {
        "node_id": node.id,
        "node": node.name,
        "at": iso(now),
        "totals": _counts(counted.all),
        "header_lines": sum(line["headers"] > 0 for line in shown),
        "by_room": {room: _counts(counts) for room, counts in counted.by_room.items()},
        "by_week": {week: _counts(counts) for week, counts in counted.by_week.items()},
        "number_of_errors": ris_list.number_of_errors,
        "errors": [
            {"line": error.line, "field": error.field, "problem": error.problem} for error in ris_list.errors
        ],
        "lines": shown,
    }


def csv_of(shown: ReconciliationResult) -> Iterator[str]:
    """Yield the lines of a CSV: a line for each line of the list, then the errors."""
    yield csv_line(CSV_COLUMNS)
    for entry in shown["lines"]:
        yield csv_line(list(entry.values()))
    for error in shown["errors"]:
        yield csv_line([error["line"], "error", f"{error['field']}: {error['problem']}"])


def _counts(counts: Mapping[LineState, int]) -> LineCounts:
    return {
        "has_dose": counts.get(LineState.HAS_DOSE, 0),
        "not_retrieved": counts.get(LineState.NOT_RETRIEVED, 0),
        "no_dose_object": counts.get(LineState.NO_DOSE_OBJECT, 0),
        "not_asked": counts.get(LineState.NOT_REQUESTED, 0),
        "not_in_pacs": counts.get(LineState.NOT_IN_PACS, 0),
    }


def _line_json(entry: ReconciledLine, stored: Mapping[str, StoredCounts]) -> LineResult:
    line, study = entry.line, entry.study
    return {
        "line": line.line,
        "state": entry.state.value,
        "detail": entry.detail.value,
        "accession_number": line.accession_number,
        "study_instance_uid": line.study_instance_uid or (study.study_instance_uid if study else ""),
        "date": line.day.isoformat() if line.day else None,
        "room": line.room,
        "procedure": line.procedure,
        "type": study.type if study else "",
        "job": study.job_id if study else "",
        "headers": stored[study.study_instance_uid].headers if study else 0,
    }


# Studies that lines name


def _batch(
    session: Session, node_id: int, lines: Sequence[RisLine], absences: _Absences
) -> list[ReconciledLine]:
    by_uid, by_accession = _studies(session, node_id, lines)
    found = []
    for line in lines:
        named = by_uid.get(line.study_instance_uid, ()) if line.study_instance_uid else ()
        studies = named or by_accession.get(line.accession_number, ())
        found.append(reconcile_line(line, studies, absences.of(line)))
    return found


StudiesByKey = Mapping[str, Sequence[StudyState]]


def _studies(session: Session, node_id: int, lines: Sequence[RisLine]) -> tuple[StudiesByKey, StudiesByKey]:
    """Return the studies that these lines name, by UID and by accession number."""
    uids = sorted({line.study_instance_uid for line in lines if line.study_instance_uid})
    numbers = sorted({line.accession_number for line in lines if line.accession_number})
    by_uid: defaultdict[str, list[StudyState]] = defaultdict(list)
    by_accession: defaultdict[str, list[StudyState]] = defaultdict(list)
    for which in ({"uids": uids}, {"accession_numbers": numbers}):
        removed = removed_decisions(session, node_id, **which)
        for best in _best(session, node_id, removed, **which):
            by_uid[best.study.study_instance_uid].append(best.study)
            for number in best.accession_numbers:
                by_accession[number].append(best.study)
    return by_uid, by_accession


@dataclass(frozen=True, slots=True)
class _Best:
    study: StudyState
    accession_numbers: frozenset[str]


def _best(
    session: Session,
    node_id: int,
    removed: Mapping[str, RemovedDecision],
    uids: Sequence[str] = (),
    accession_numbers: Sequence[str] = (),
) -> Iterator[_Best]:
    """Yield the best decision on each of these studies, of the queries that are there and of removed ones."""
    wanted = or_(
        QueryStudy.study_instance_uid.in_([*uids, *removed]),
        QueryStudy.accession_number.in_(accession_numbers),
    )
    best = best_decisions(Query.remote_id == node_id, wanted)
    rows = session.execute(select(best).where(best.c.rank == 1)).all()
    keeps = [(row.job_id, row.study_instance_uid) for row in rows if row.settled and row.decision == "keep"]
    arrived = arrived_studies(session, keeps) if keeps else set()
    left = dict(removed)
    for row in rows:
        uid = row.study_instance_uid
        order = decision_order(row.type, row.reason, row.requested_at, is_settled=bool(row.settled))
        before = left.get(uid)
        if before is not None and before.order < order:
            continue
        left.pop(uid, None)
        state, detail = _state(bool(row.settled), row.type, row.decision, row.reason, uid in arrived)
        numbers = {(row.accession_number or "").strip(), *([before.accession_number] if before else [])}
        yield _Best(StudyState(uid, state, detail, row.type or "", row.job_id), frozenset(numbers))
    for uid, entry in left.items():
        decision = "keep" if entry.keeps else "drop"
        state, detail = _state(entry.settled, entry.type, decision, entry.reason, entry.arrived)
        yield _Best(StudyState(uid, state, detail, entry.type or "", ""), frozenset({entry.accession_number}))


def _state(
    settled: bool, type_name: str | None, decision: str, reason: str, has_arrived: bool
) -> tuple[LineState, Detail]:
    if not settled:
        return LineState.NOT_REQUESTED, Detail.NOT_SETTLED
    if type_name is None:
        return LineState.NOT_REQUESTED, Detail.OTHER_TYPE
    if decision == "keep":
        return (LineState.HAS_DOSE if has_arrived else LineState.NOT_RETRIEVED), Detail.NONE
    return (LineState.HAS_DOSE if reason == Reason.KNOWN else LineState.NO_DOSE_OBJECT), Detail.NONE


# Lines without a study


@dataclass(slots=True)
class _Absences:
    """What proves that a study that was not found is not in the PACS."""

    proofs: DayProofs = field(default_factory=dict)
    #: Days with studies, of which the PACS returned no accession number.
    nameless_days: set[date] = field(default_factory=set)
    #: What completed queries named, and so asked for.
    accession_numbers: set[str] = field(default_factory=set)
    study_instance_uids: set[str] = field(default_factory=set)

    def of(self, line: RisLine) -> Absence:
        """Return what it means that no study was found for a line."""
        uid, number = line.study_instance_uid, line.accession_number
        if uid in self.study_instance_uids if uid else number in self.accession_numbers:
            return LineState.NOT_IN_PACS, Detail.NAMED
        types = _types_of(line.modality)
        day = line.day
        if day is None or not types:
            return LineState.NOT_REQUESTED, Detail.DAY_NOT_COMPLETE
        if not all(proof_of_type(self.proofs, day, name).complete for name in types):
            return LineState.NOT_REQUESTED, Detail.DAY_NOT_COMPLETE
        if not uid and day in self.nameless_days:
            return LineState.NOT_REQUESTED, Detail.NO_ACCESSION_NUMBERS
        return LineState.NOT_IN_PACS, Detail.DAY_COMPLETE


def _types_of(modality: str) -> tuple[str, ...]:
    """Return the types of which a study of this modality may be; without one, all that carry dose."""
    if not modality:
        return _TYPES
    code = modality.strip().upper()
    return tuple(name for name in _TYPES if code in CODES[name] or code == name)


def _absences(
    session: Session, node: Node, lines: Sequence[RisLine], settings: Settings, now: datetime
) -> _Absences:
    found = _Absences()
    named = session.execute(
        select(Query.criteria).where(
            Query.remote_id == node.id,
            Query.status == "completed",
            Query.days_from.is_(None),
            Query.days_until.is_(None),
        )
    )
    for (criteria,) in named:
        found.accession_numbers.update(criteria.get("accession_numbers") or ())
        found.study_instance_uids.update(criteria.get("study_instance_uids") or ())
    named_by_removed = {
        "accession_numbers": found.accession_numbers,
        "study_instance_uids": found.study_instance_uids,
    }
    for name, identifier in _folded_identifiers(session, node.id, lines):
        named_by_removed[name].add(identifier)
    today = settings.day_of(now)
    days = [line.day for line in lines if line.day is not None and _EARLIEST <= line.day <= today]
    if not days:
        return found
    last = max(days)
    first = max(min(days), last - _PROVEN_DAYS)
    end_of_day = clockwork_of(node, settings, now).end_of_day
    found.proofs = node_proofs(session, node.id, first, last, end_of_day)
    numbers = node_numbers(session, node.id, first, last)
    found.nameless_days = {day for day, tally in numbers.days.items() if tally.found and not tally.named}
    return found


def _folded_identifiers(
    session: Session, node_id: int, lines: Sequence[RisLine]
) -> Iterator[tuple[str, str]]:
    """Yield field and identifier of those that queries named which retention has removed."""
    wanted = {line.study_instance_uid for line in lines} | {line.accession_number for line in lines}
    for some in batches(sorted(wanted - {""})):
        which = (FoldedIdentifier.remote_id == node_id, FoldedIdentifier.identifier.in_(some))
        rows = session.execute(select(FoldedIdentifier.field, FoldedIdentifier.identifier).where(*which))
        yield from ((name, identifier) for name, identifier in rows)
