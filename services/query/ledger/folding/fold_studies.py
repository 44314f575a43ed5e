"""Folds what a query found of studies into their rows in `node_studies`, and what it proves into its days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session

from services.query.ledger.tally.ended_queries import closed_searches
from services.query.ledger.tally.node_days import NodeDays
from services.query.ledger.unchanged_studies import terms_of
from services.query.rules.model import Decision
from shared.contract.reasons import Reason
from shared.database.models import (
    FoldedIdentifier,
    NodeStudy,
    Query,
    QueryObject,
    QuerySeries,
    QueryStudy,
)
from shared.database.upsert import insert_missing
from shared.evidence.folded_study import KeptObjects, kept_objects, read_folded
from shared.reading.evidence.arrivals import arrived_studies
from shared.reading.evidence.studies import batches

_IDENTIFIERS = (
    ("study_instance_uids", QueryStudy.study_instance_uid),
    ("accession_numbers", QueryStudy.accession_number),
)


def fold_days(session: Session, query: Query) -> None:
    """Keep what a query proves of its days, apart from what others prove; the lock of its node is held."""
    proven = [(search, search.days()) for search in closed_searches(session, [query.id])]
    touched = NodeDays(session, query.remote_id, {day for _, days in proven for day in days})
    for search, days in proven:
        for day in days:
            touched.fold(search, day)
    touched.save()


def fold_identifiers(session: Session, query: Query) -> None:
    """Keep the identifiers that a completed query named and that the PACS did not know."""
    if query.status != "completed" or query.days_from is not None or query.days_until is not None:
        return
    for field, column in _IDENTIFIERS:
        named = sorted(set(query.criteria.get(field) or ()))
        for some in batches(named):
            found = select(column).where(QueryStudy.job_id == query.id, column.in_(some))
            absent = set(some) - set(session.scalars(found))
            rows = [
                {"remote_id": query.remote_id, "field": field, "identifier": identifier}
                for identifier in sorted(absent)
            ]
            insert_missing(session, FoldedIdentifier, rows)


def fold_studies(session: Session, query: Query, uids: Sequence[str]) -> None:
    """Fold these studies of a query and remove its rows of them; the lock of its node is held."""
    found = session.scalars(select(QueryStudy).where(*_of_studies(QueryStudy, query.id, uids))).all()
    known = session.scalars(
        select(NodeStudy)
        .where(NodeStudy.study_instance_uid.in_(uids), NodeStudy.remote_id == query.remote_id)
        .order_by(NodeStudy.study_instance_uid)
        .with_for_update()
    )
    rows = {row.study_instance_uid: row for row in known}
    keeps = [(query.id, study.study_instance_uid) for study in found if study.decision == Decision.KEEP]
    arrived = arrived_studies(session, keeps) if keeps else set()
    kept = _kept(session, query, found)
    changed = [
        _folded_row(
            rows[study.study_instance_uid], study, kept, has_arrived=study.study_instance_uid in arrived
        )
        for study in found
        if study.study_instance_uid in rows
    ]
    if changed:
        session.execute(update(NodeStudy), changed)
    for table in (QueryObject, QuerySeries, QueryStudy):
        session.execute(delete(table).where(*_of_studies(table, query.id, uids)), execution_options=_UNREAD)


_UNREAD = {"synchronize_session": False}
_StudyTable = type[QueryStudy] | type[QuerySeries] | type[QueryObject]


def _of_studies(table: _StudyTable, job_id: str, uids: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
    return (table.job_id == job_id, table.study_instance_uid.in_(uids))


def _folded_row(
    row: NodeStudy, study: QueryStudy, kept: dict[str, KeptObjects], *, has_arrived: bool
) -> dict[str, object]:
    is_best = row.job_id == study.job_id
    folded = read_folded(row.folded or "").with_query(
        is_best=is_best,
        keeps=study.decision == Decision.KEEP,
        arrived=has_arrived,
        kept=kept.get(study.study_instance_uid),
    )
    return {
        "study_instance_uid": row.study_instance_uid,
        "remote_id": row.remote_id,
        "job_id": "" if is_best else row.job_id,
        # A list from the RIS finds it by this number, which the best query may not have got.
        "accession_number": row.accession_number.strip() or (study.accession_number or "").strip(),
        "folded": folded.to_text(),
    }


def _kept(session: Session, query: Query, found: Sequence[QueryStudy]) -> dict[str, KeptObjects]:
    """Return what a query kept of its studies or dropped as known, where a later query may rely on it."""
    usable = [
        study
        for study in found
        if study.state == "decided"
        and (study.decision == Decision.KEEP or study.reason == Reason.KNOWN)
        and study.note != Reason.UNCHANGED_SINCE
    ]
    uids = [study.study_instance_uid for study in usable]
    objects: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    rows = session.execute(
        select(
            QueryObject.study_instance_uid, QueryObject.series_instance_uid, QueryObject.sop_instance_uid
        ).where(
            *_of_studies(QueryObject, query.id, uids),
            or_(QueryObject.decision == Decision.KEEP, QueryObject.reason == Reason.KNOWN),
        )
    )
    for study, series, uid in rows:
        objects[study].append((series, uid))
    whole: defaultdict[str, list[tuple[str, int | None]]] = defaultdict(list)
    series_rows = session.execute(
        select(
            QuerySeries.study_instance_uid, QuerySeries.series_instance_uid, QuerySeries.instance_count
        ).where(
            *_of_studies(QuerySeries, query.id, uids),
            QuerySeries.decision == Decision.KEEP,
            QuerySeries.whole,
        )
    )
    for study, series, count in series_rows:
        whole[study].append((series, count))
    terms = terms_of(query.criteria, query.rules_version)
    kept = {
        study.study_instance_uid: kept_objects(
            terms,
            (study.series_count, study.instance_count),
            objects[study.study_instance_uid],
            whole[study.study_instance_uid],
        )
        for study in usable
    }
    return {uid: entry for uid, entry in kept.items() if entry is not None}
