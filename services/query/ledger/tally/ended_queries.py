"""Adds up queries that have ended, in transactions of a bounded number of studies.

A query is marked in the transaction that adds it up. The mark is its round: a query that is rerun has another
one, and is read from its ledger again until it has ended. A worker of an older version changes no mark, so
what it does is added up like anything else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, insert, or_, select, update
from sqlalchemy.orm import Session

from services.query.ledger.tally.node_days import NodeDays, lock_node
from shared.contract.messages import ENDED
from shared.database.models import NodeStudy, Query, QueryStudy
from shared.database.models.query import UNTALLIED
from shared.evidence.day_proof import DaySearch
from shared.evidence.study_tally import StudyTally, open_types_json
from shared.reading.evidence.findings import FoundStudy, found_studies, tallies_of
from shared.reading.evidence.searches import of_days, searches
from shared.reading.evidence.software import software_versions
from shared.reading.evidence.studies import without_jit
from shared.reading.evidence.tallies import recomputed, study_tallies

#: Studies of one transaction: on SQLite nobody else writes meanwhile.
STUDIES_AT_ONCE = 1000
#: Queries of one transaction, and those from which they are chosen.
_QUERIES_AT_ONCE, _CHOSEN_FROM = 50, 500
#: Days of a query that are proven day by day; what wider ones prove is read from their ledger.
_DAYS_MAX = 400
_TALLIED = Query.tallied_round == Query.round
#: The mark of a query of which only some studies are added up.
_IN_PART = -1


@dataclass(frozen=True, slots=True)
class DueQueries:
    """Queries of a node that are added up together."""

    node_id: int
    job_ids: Sequence[str]
    #: Whether another round of it is added up, or a part of it: then it is alone.
    again: bool
    #: Whether it is too large for one transaction: then it is alone as well.
    in_parts: bool


def due_queries(session: Session, but: Collection[str] = ()) -> DueQueries | None:
    """Return queries that have ended and are not added up, the newest first; None if there are none.

    `but`: queries that are left out.
    """
    columns = (Query.id, Query.remote_id, Query.tallied_round, Query.studies_found)
    rows = session.execute(
        select(*columns)
        .where(UNTALLIED, Query.status.in_(ENDED), Query.id.not_in(but))
        .order_by(Query.requested_at.desc())
        .limit(_CHOSEN_FROM)
    ).all()
    if not rows:
        return None
    first = rows[0]
    again, in_parts = first.tallied_round is not None, first.studies_found > STUDIES_AT_ONCE
    if again or in_parts:
        return DueQueries(first.remote_id, [first.id], again, in_parts)
    job_ids: list[str] = []
    studies = 0
    for row in rows:
        if row.remote_id != first.remote_id or row.tallied_round is not None:
            continue
        studies += row.studies_found
        if studies > STUDIES_AT_ONCE or len(job_ids) == _QUERIES_AT_ONCE:
            break
        job_ids.append(row.id)
    return DueQueries(first.remote_id, job_ids, again=False, in_parts=False)


def add_up(session: Session, due: DueQueries, after_uid: str = "") -> str | None:
    """Add up queries, or a part of one; return the UID after which the next part begins, None for the end."""
    lock_node(session, due.node_id)
    without_jit(session)
    open_ids = _still_due(session, due.job_ids)
    if not open_ids:
        return None
    which: list[ColumnElement[bool]] = [QueryStudy.job_id.in_(open_ids)]
    last_uid = None
    if due.again or due.in_parts:
        last_uid = _last_of_part(session, open_ids[0], after_uid)
        which.append(QueryStudy.study_instance_uid > after_uid)
        if last_uid is not None:
            which.append(QueryStudy.study_instance_uid <= last_uid)
    found = list(found_studies(session, *which))
    proven = closed_searches(session, open_ids) if last_uid is None else []
    days = {study.day for study in found if study.day is not None}
    days |= {day for search in proven for day in search.days()}
    _save(session, due, open_ids[0], found, proven, days)
    if last_uid is not None:
        _mark(session, open_ids, tallied_round=_IN_PART)
        return last_uid
    _mark(session, open_ids, tallied_round=Query.round, open_search=False)
    _mark(session, _open_searches(session, open_ids), open_search=True)
    return None


def _still_due(session: Session, job_ids: Sequence[str]) -> list[str]:
    """Return those of these queries that nobody has added up or begun anew meanwhile, locked."""
    which = (Query.id.in_(job_ids), UNTALLIED, Query.status.in_(ENDED))
    return list(session.scalars(select(Query.id).where(*which).order_by(Query.id).with_for_update()))


def _last_of_part(session: Session, job_id: str, after_uid: str) -> str | None:
    """Return the last UID of a part of a query's studies; None if the rest is one part."""
    uid = QueryStudy.study_instance_uid
    return session.scalar(
        select(uid)
        .where(QueryStudy.job_id == job_id, uid > after_uid)
        .order_by(uid)
        .offset(STUDIES_AT_ONCE - 1)
        .limit(1)
    )


def _mark(session: Session, job_ids: Sequence[str], **values: object) -> None:
    changed = update(Query).where(Query.id.in_(job_ids)).values(**values)
    session.execute(changed.execution_options(synchronize_session=False))


# What the queries searched


def closed_searches(session: Session, job_ids: Sequence[str]) -> list[DaySearch]:
    """Return what those of these queries search that are proven day by day."""
    return [search for search in searches(session, Query.id.in_(job_ids)) if not _is_open(search)]


def _open_searches(session: Session, job_ids: Sequence[str]) -> list[str]:
    return [search.job_id for search in searches(session, Query.id.in_(job_ids)) if _is_open(search)]


def _is_open(search: DaySearch) -> bool:
    total = 0
    for part in search.windows:
        if part.date_from is None or part.date_until is None:
            return True
        total += (part.date_until - part.date_from).days + 1
    return total > _DAYS_MAX


def _prove_anew(session: Session, node_id: int, search: DaySearch, touched: NodeDays) -> None:
    """Take back what an earlier round proved: a study without a date, decided then, is not any more."""
    days = search.days()
    for day in days:
        touched.forget_proofs(day)
    for other in searches(session, *of_days(node_id, days[0], days[-1]), _TALLIED):
        if not _is_open(other):
            for day in other.days_within(days[0], days[-1]):
                if day in days:
                    touched.prove(other, day)


# What they found


def _save(
    session: Session,
    due: DueQueries,
    job_id: str,
    found: Sequence[FoundStudy],
    proven: Sequence[DaySearch],
    days: Collection[date],
) -> None:
    uids = {study.study_instance_uid for study in found}
    before = study_tallies(session, due.node_id, uids)
    if due.again:
        counted = or_(_TALLIED, Query.id == job_id)
        after = recomputed(session, due.node_id, uids, counted)
    else:
        own = tallies_of(found)
        after = {uid: before[uid].merged(tally) if uid in before else tally for uid, tally in own.items()}
    touched = NodeDays(session, due.node_id, {*days, *_days_of_tallies([*before.values(), *after.values()])})
    for study in found:
        if study.day is not None:
            touched.note(study.day, study.has_accession_number)
    for uid, tally in after.items():
        touched.replace(before.get(uid), tally)
    for uid, versions in software_versions(session, after).items():
        best = after[uid].best
        if best.day is not None:
            touched.add_versions(best.day, [(best.type or "", best.station, version) for version in versions])
    for search in proven:
        if due.again and search.lacks_undated:
            _prove_anew(session, due.node_id, search, touched)
        for day in search.days():
            touched.prove(search, day)
    touched.save()
    _save_studies(session, due.node_id, before, after)


def _days_of_tallies(tallies: Iterable[StudyTally]) -> set[date]:
    return {day for tally in tallies for day in (tally.best.day, *tally.open_types) if day is not None}


def _save_studies(
    session: Session, node_id: int, before: Mapping[str, StudyTally], after: Mapping[str, StudyTally]
) -> None:
    new = [_study_row(node_id, uid, tally) for uid, tally in after.items() if uid not in before]
    changed = [
        _study_row(node_id, uid, tally)
        for uid, tally in after.items()
        if uid in before and before[uid] != tally
    ]
    if new:
        session.execute(insert(NodeStudy), new)
    if changed:
        session.execute(update(NodeStudy), changed)


def _study_row(node_id: int, uid: str, tally: StudyTally) -> dict[str, object]:
    best = tally.best
    return {
        "study_instance_uid": uid,
        "remote_id": node_id,
        "job_id": best.job_id,
        "requested_at": best.requested_at,
        "settled": best.settled,
        "type": best.type,
        "reason": best.reason,
        "day": best.day,
        "study_time": best.time,
        "station": best.station,
        "accession_number": best.accession_number,
        "source": best.source,
        "settled_types": " ".join(sorted(tally.settled_types)),
        "open_types": open_types_json(tally.open_types),
    }
