"""Statements on what a retrieve expects: its series, their objects, and what is still to come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, case, delete, func, or_, select, update
from sqlalchemy.orm import Session

from services.retrieve.context import RetrieveContext
from services.retrieve.ledger.conditions import (
    OPEN,
    add_counts,
    execute,
    is_open,
    row_key,
    rows_of,
    rows_of_series,
    series_rows,
    weight_of_row,
)
from services.retrieve.ledger.selection import is_here
from services.retrieve.planning.moves import SeriesPart
from services.retrieve.planning.payloads import MoveOrder, SeriesKey
from shared.database.models import QueryObject, QuerySeries, Retrieve, RetrieveObject
from shared.database.models.store import HEADERS, WHOLE
from shared.database.upsert import insert_missing
from shared.querying.header_objects import header_is_enough

#: SOP Instance UID, state, and what the series announced.
_Row = tuple[str, str, int | None]


@dataclass(frozen=True, slots=True)
class PlannedSeries:
    """One series of the ledger, as it is planned."""

    study_instance_uid: str
    series_instance_uid: str
    named: int
    whole: bool

    @property
    def key(self) -> SeriesKey:
        """Study and series."""
        return self.study_instance_uid, self.series_instance_uid


def series_page(session: Session, job_id: str, after: SeriesKey | None, limit: int) -> list[PlannedSeries]:
    """Return series that are still to be planned, in order, those after `after`."""
    row = RetrieveObject
    named = func.sum(case((row.sop_instance_uid == "", 0), else_=1)).label("named")
    decided = (
        select(func.count())
        .where(
            QueryObject.job_id == Retrieve.query_id,
            QueryObject.study_instance_uid == row.study_instance_uid,
            QueryObject.series_instance_uid == row.series_instance_uid,
        )
        .correlate(row, Retrieve)
        .scalar_subquery()
    )
    statement = (
        select(row.study_instance_uid, row.series_instance_uid, named, QuerySeries.whole, decided)
        .join(Retrieve, Retrieve.id == row.job_id)
        .join(
            QuerySeries,
            and_(
                QuerySeries.job_id == Retrieve.query_id,
                QuerySeries.study_instance_uid == row.study_instance_uid,
                QuerySeries.series_instance_uid == row.series_instance_uid,
            ),
        )
        .where(row.job_id == job_id, row.state == "expected")
        .group_by(row.study_instance_uid, row.series_instance_uid, QuerySeries.whole, Retrieve.query_id)
        .order_by(row.study_instance_uid, row.series_instance_uid)
        .limit(limit)
    )
    if after is not None:
        study, series = after
        behind = and_(row.study_instance_uid == study, row.series_instance_uid > series)
        statement = statement.where(
            row.study_instance_uid >= study, or_(row.study_instance_uid > study, behind)
        )
    return [
        PlannedSeries(study, series, int(count), bool(whole) and int(count) == int(all_of_it))
        for study, series, count, whole, all_of_it in session.execute(statement)
    ]


def open_names(session: Session, job_id: str, keys: Sequence[SeriesKey]) -> dict[SeriesKey, list[str]]:
    """Return the named objects of these series that are still to come."""
    row = RetrieveObject
    names: dict[SeriesKey, list[str]] = {key: [] for key in keys}
    columns = (row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid)
    for which in rows_of_series(job_id, keys):
        statement = select(*columns).where(which, is_open(), row.sop_instance_uid != "").order_by(*columns)
        for study, series, uid in session.execute(statement):
            names[study, series].append(uid)
    return names


def open_parts(session: Session, job_id: str, order: MoveOrder) -> list[SeriesPart]:
    """Return what of an order is still to come."""
    return [*_open_series(session, job_id, order.whole), *_open_parts(session, job_id, order.parts)]


def header_parts(session: Session, job_id: str, parts: Sequence[SeriesPart]) -> list[SeriesPart]:
    """Return the named objects of these parts of which the header is enough, and that are still to come."""
    row = RetrieveObject
    columns = (row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid)
    found: dict[SeriesKey, list[str]] = {}
    for which in rows_of(job_id, parts):
        wanted = select(*columns).where(which, is_open(), row.content == HEADERS, row.sop_instance_uid != "")
        for study, series, uid in session.execute(wanted.order_by(*columns)):
            found.setdefault((study, series), []).append(uid)
    return [SeriesPart(*key, tuple(uids)) for key, uids in found.items()]


def _open_parts(session: Session, job_id: str, parts: Sequence[SeriesPart]) -> Iterator[SeriesPart]:
    row = RetrieveObject
    columns = (row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid)
    left: dict[SeriesKey, set[str]] = {}
    for which in rows_of(job_id, parts):
        for study, series, uid in session.execute(select(*columns).where(which, is_open())):
            left.setdefault((study, series), set()).add(uid)
    for part in parts:
        here = part.only(left.get(part.key, set()))
        if here is not None:
            yield here


def _open_series(session: Session, job_id: str, keys: Sequence[SeriesKey]) -> Iterator[SeriesPart]:
    row = RetrieveObject
    columns = (
        row.study_instance_uid,
        row.series_instance_uid,
        row.sop_instance_uid,
        row.state,
        row.announced,
    )
    found: dict[SeriesKey, list[_Row]] = {}
    for which in rows_of_series(job_id, keys):
        for study, series, uid, state, announced in session.execute(select(*columns).where(which)):
            found.setdefault((study, series), []).append((uid, state, announced))
    for key in keys:
        yield from _parts_of(key, found.get(key, []))


def _parts_of(key: SeriesKey, rows: Sequence[_Row]) -> Iterator[SeriesPart]:
    names = tuple(sorted(uid for uid, state, _ in rows if uid and state in OPEN))
    if names:
        yield SeriesPart(*key, names, whole=len(names) == len(rows))
    arrived = sum(bool(uid) and state == "arrived" for uid, state, _ in rows)
    for uid, state, announced in rows:
        if not uid and state in OPEN:
            # The row counts what is still to come; what arrived of the series counts for its part.
            yield SeriesPart(*key, whole=True, announced=announced + arrived if announced else announced)


def announced_of(session: Session, context: RetrieveContext, key: SeriesKey) -> int | None:
    """Return how many objects of a series the PACS announced."""
    return session.scalar(
        select(QuerySeries.instance_count).where(
            QuerySeries.job_id == context.query_id,
            QuerySeries.study_instance_uid == key[0],
            QuerySeries.series_instance_uid == key[1],
        )
    )


def reason_of_series(session: Session, context: RetrieveContext, key: SeriesKey) -> str:
    """Return why the query kept a series."""
    reason = select(QuerySeries.reason).where(
        QuerySeries.job_id == context.query_id,
        QuerySeries.study_instance_uid == key[0],
        QuerySeries.series_instance_uid == key[1],
    )
    return session.scalar(reason) or ""


def content_of(context: RetrieveContext, reason: str, sop_class_uid: str) -> str:
    """Return what is wanted of an object that is kept for this reason."""
    enough = context.content == HEADERS and header_is_enough(reason, sop_class_uid)
    return HEADERS if enough else WHOLE


def _content_of_series(session: Session, context: RetrieveContext, key: SeriesKey) -> str:
    return content_of(context, reason_of_series(session, context, key), "")


def name_objects(
    session: Session, context: RetrieveContext, key: SeriesKey, sop_classes: Mapping[str, str]
) -> SeriesPart | None:
    """Put the objects of a series in place of the row that stood for it; return what is to be requested.

    `sop_classes`: SOP Class UIDs by SOP Instance UID, empty where the PACS does not return them.
    Objects that arrived before, or are in the store where that counts, are left out.
    """
    reason = reason_of_series(session, context, key)
    rows = [
        {
            **row_key(context.job_id, key),
            "sop_instance_uid": uid,
            "sop_class_uid": sop_class_uid,
            "content": content_of(context, reason, sop_class_uid),
            "state": "expected",
            "asked": 0,
            "reason": "",
            "detail": "",
        }
        for uid, sop_class_uid in sop_classes.items()
    ]
    inserted = len(insert_missing(session, RetrieveObject, rows))
    here = and_(
        series_rows(context.job_id, key),
        RetrieveObject.state == "expected",
        is_here(
            context.query_id,
            RetrieveObject,
            RetrieveObject.content == HEADERS,
            ignore_known=context.ignore_known,
        ),
    )
    known = execute(session, delete(RetrieveObject).where(here))
    add_counts(session, context.job_id, asked=inserted - known - _drop_unlisted(session, context.job_id, key))
    names = open_names(session, context.job_id, [key])[key]
    return SeriesPart(*key, tuple(names), whole=not known) if names else None


def keep_unlisted(
    session: Session, context: RetrieveContext, key: SeriesKey, announced: int | None
) -> SeriesPart | None:
    """Return a series whose objects the PACS does not list, to be requested whole; None if it has arrived.

    `announced`: how many objects it has, as far as the PACS says.
    """
    earlier = select(func.count(func.distinct(RetrieveObject.sop_instance_uid))).where(
        RetrieveObject.job_id.in_(select(Retrieve.id).where(Retrieve.query_id == context.query_id)),
        RetrieveObject.study_instance_uid == key[0],
        RetrieveObject.series_instance_uid == key[1],
        RetrieveObject.state == "arrived",
        RetrieveObject.content.in_({WHOLE, _content_of_series(session, context, key)}),
    )
    arrived = session.scalar(earlier) or 0
    if arrived and arrived >= (announced or 1):
        add_counts(session, context.job_id, asked=-_drop_unlisted(session, context.job_id, key))
        return None
    return SeriesPart(*key, whole=True, announced=announced or None)


def expect_unnamed(session: Session, context: RetrieveContext, key: SeriesKey, size: int) -> None:
    """Expect that a series has so many objects whose names are not known, with those that arrived."""
    of_series = series_rows(context.job_id, key)
    arrived = select(func.count()).where(of_series, RetrieveObject.state == "arrived")
    left = size - (session.scalar(arrived.where(RetrieveObject.sop_instance_uid != "")) or 0)
    if left <= 0:
        return
    before = session.scalars(select(weight_of_row()).where(of_series, RetrieveObject.sop_instance_uid == ""))
    more = left - sum(before)
    row = {
        **row_key(context.job_id, key),
        "sop_instance_uid": "",
        "sop_class_uid": "",
        "content": _content_of_series(session, context, key),
        "announced": left,
        "state": "expected",
        "asked": 1,
        "reason": "",
        "detail": "",
    }
    if not insert_missing(session, RetrieveObject, [row]):
        unnamed = and_(of_series, RetrieveObject.sop_instance_uid == "")
        execute(session, update(RetrieveObject).where(unnamed).values(announced=left))
    add_counts(session, context.job_id, asked=more)


def _drop_unlisted(session: Session, job_id: str, key: SeriesKey) -> int:
    """Delete the row that stands for a series; return how many objects it stood for."""
    which = and_(series_rows(job_id, key), RetrieveObject.sop_instance_uid == "")
    weights = session.scalars(select(weight_of_row()).where(which)).all()
    execute(session, delete(RetrieveObject).where(which))
    return sum(weights)
