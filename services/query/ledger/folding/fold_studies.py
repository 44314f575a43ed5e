"""Folds what a query found of studies into their rows in `node_studies`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, literal, or_, select, update
from sqlalchemy.orm import Session

from services.query.ledger.unchanged_studies import terms_of
from services.query.rules.model import Decision
from shared.contract.reasons import Reason
from shared.database.models import (
    Base,
    NodeStudy,
    Query,
    QueryObject,
    QuerySeries,
    QueryStudy,
    RetrieveObject,
    StoredObject,
)
from shared.evidence.folded_study import KeptObjects, kept_objects, read_folded
from shared.reading.evidence.arrivals import KeptRows, arrived_of_rows

#: Rows of a study that are always there: its own in the query, and that in `node_studies`.
_ROWS_OF_STUDY = 2


@dataclass(frozen=True, slots=True)
class StudyPart:
    """Some studies of a query that follow one another by UID."""

    #: In the order of the database.
    uids: Sequence[str]
    #: Rows of them in all tables that are read or changed, as far as they were counted.
    rows: int
    #: Whether these are no more than was wanted, so that all their series and objects go with them.
    fits: bool


def study_part(session: Session, query: Query, uids: Sequence[str], most: int) -> StudyPart:
    """Return as many of the first of these studies as have no more than so many rows, one at least."""
    while True:
        rows = len(uids) * _ROWS_OF_STUDY + _counted(session, query, uids, most)
        if rows <= most or len(uids) == 1:
            return StudyPart(uids, rows, fits=rows <= most)
        uids = uids[: len(uids) // 2]


def _counted(session: Session, query: Query, uids: Sequence[str], most: int) -> int:
    """Return how many rows studies have beside their own; of each table one more than `most` is counted."""
    tables: tuple[tuple[type[Base], Sequence[ColumnElement[bool]]], ...] = (
        (QuerySeries, _of_studies(QuerySeries, query, uids)),
        (QueryObject, _of_studies(QueryObject, query, uids)),
        (RetrieveObject, (RetrieveObject.study_instance_uid.in_(uids),)),
        (StoredObject, (StoredObject.study_instance_uid.in_(uids),)),
    )
    numbers = []
    for table, which in tables:
        some = select(literal(1)).select_from(table).where(*which).limit(most + 1).subquery()
        numbers.append(select(func.count()).select_from(some).scalar_subquery())
    return sum(session.execute(select(*numbers)).one())


def fold_studies(session: Session, query: Query, part: StudyPart) -> None:
    """Fold these studies of a query and remove its rows of them; the lock of its node is held.

    Of a study that is too large for one step, the rows of series and objects stay for later ones.
    """
    uids = part.uids
    found = session.scalars(select(QueryStudy).where(*_of_studies(QueryStudy, query, uids))).all()
    known = session.scalars(
        select(NodeStudy)
        .where(NodeStudy.study_instance_uid.in_(uids), NodeStudy.remote_id == query.remote_id)
        .order_by(NodeStudy.study_instance_uid)
        .with_for_update()
    )
    rows = {row.study_instance_uid: row for row in known}
    of_query = _rows_of_query(session, query, uids)
    keeps = [(query.id, study.study_instance_uid) for study in found if study.decision == Decision.KEEP]
    arrived = arrived_of_rows(session, keeps, of_query.kept(query.id)) if keeps else set()
    kept = _kept(query, found, of_query)
    changed = [
        _folded_row(
            rows[study.study_instance_uid], study, kept, has_arrived=study.study_instance_uid in arrived
        )
        for study in found
        if study.study_instance_uid in rows
    ]
    if changed:
        session.execute(update(NodeStudy), changed)
    tables: tuple[_StudyTable, ...] = (QueryObject, QuerySeries, QueryStudy)
    for table in tables if part.fits else (QueryStudy,):
        session.execute(delete(table).where(*_of_studies(table, query, uids)), execution_options=_UNREAD)


_UNREAD = {"synchronize_session": False}
_StudyTable = type[QueryStudy] | type[QuerySeries] | type[QueryObject]


def _of_studies(table: _StudyTable, query: Query, uids: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for the rows of studies that follow one another by UID.

    A range and no list: PostgreSQL plans a statement that comes often for a query of the usual size, and
    with a list that plan reads all rows of a large one.
    """
    uid = table.study_instance_uid
    between = (table.job_id == query.id, uid >= uids[0], uid <= uids[-1])
    # Of an open search some studies between them stay.
    return (*between, uid.in_(uids)) if query.open_search else between


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


@dataclass(frozen=True, slots=True)
class _RowsOfQuery:
    """What a query kept of studies, or dropped as known, by their UIDs."""

    #: Series and SOP Instance UID, and whether it was kept.
    objects: Mapping[str, Sequence[tuple[str, str, bool]]]
    whole: Mapping[str, Sequence[tuple[str, int | None]]]

    def kept(self, job_id: str) -> KeptRows:
        """Return what was kept alone."""
        named = {
            (job_id, study): [(series, uid) for series, uid, is_kept in rows if is_kept]
            for study, rows in self.objects.items()
        }
        return KeptRows(named, {(job_id, study): rows for study, rows in self.whole.items()})


def _rows_of_query(session: Session, query: Query, uids: Sequence[str]) -> _RowsOfQuery:
    objects: defaultdict[str, list[tuple[str, str, bool]]] = defaultdict(list)
    row = QueryObject
    columns = (row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid, row.decision)
    wanted = or_(row.decision == Decision.KEEP, row.reason == Reason.KNOWN)
    for study, series, uid, decision in session.execute(
        select(*columns).where(*_of_studies(QueryObject, query, uids), wanted)
    ):
        objects[study].append((series, uid, decision == Decision.KEEP))
    whole: defaultdict[str, list[tuple[str, int | None]]] = defaultdict(list)
    for study, series, count in session.execute(
        select(
            QuerySeries.study_instance_uid, QuerySeries.series_instance_uid, QuerySeries.instance_count
        ).where(
            *_of_studies(QuerySeries, query, uids),
            QuerySeries.decision == Decision.KEEP,
            QuerySeries.whole,
        )
    ):
        whole[study].append((series, count))
    return _RowsOfQuery(objects, whole)


def _kept(query: Query, found: Sequence[QueryStudy], rows: _RowsOfQuery) -> dict[str, KeptObjects]:
    """Return what a query kept of its studies or dropped as known, where a later query may rely on it."""
    terms = terms_of(query.criteria, query.rules_version)
    kept = {
        study.study_instance_uid: kept_objects(
            terms,
            (study.series_count, study.instance_count),
            [(series, uid) for series, uid, _ in rows.objects.get(study.study_instance_uid, ())],
            rows.whole.get(study.study_instance_uid, ()),
        )
        for study in found
        if study.state == "decided"
        and (study.decision == Decision.KEEP or study.reason == Reason.KNOWN)
        and study.note != Reason.UNCHANGED_SINCE
    }
    return {uid: entry for uid, entry in kept.items() if entry is not None}
