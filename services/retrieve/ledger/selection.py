"""Statements on what a query kept: the first rows of a retrieve, and the storage classes to negotiate."""

from __future__ import annotations

from sqlalchemy import (
    ColumnElement,
    SelectBase,
    SQLColumnExpression,
    String,
    and_,
    case,
    exists,
    false,
    func,
    insert,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from shared.contract.messages import RunRetrieve
from shared.database.models import (
    QueryObject,
    QuerySeries,
    QueryStudy,
    Retrieve,
    RetrieveObject,
    StoredObject,
)
from shared.database.models.store import HEADERS, STORE, WHOLE
from shared.dicom.sop_classes import WHOLE_CLASSES, classes_for
from shared.identifiers import Uid
from shared.querying.header_objects import HEADER_REASONS

KEEP = "keep"

_COLUMNS = (
    "job_id",
    "study_instance_uid",
    "series_instance_uid",
    "sop_instance_uid",
    "sop_class_uid",
    "content",
    "announced",
    "state",
    "asked",
    "reason",
    "detail",
)


def keeps_anything(session: Session, order: RunRetrieve) -> bool:
    """Return whether the query kept anything of what the order selects."""
    kept = select(QuerySeries.series_instance_uid).join(QueryStudy, _same_study()).where(_selected(order))
    return session.execute(kept.limit(1)).first() is not None


def fill(session: Session, job_id: str, order: RunRetrieve, *, ignore_known: bool, content: str) -> None:
    """Add a row for each kept object that has not arrived, and one for each series without named objects.

    What an earlier retrieve of the query listed of a series is not listed again: the rest of it is known.
    `content`: whether headers are enough of objects that are kept because of them.
    """
    for rows in (_named, _listed_before, _unlisted):
        statement = insert(RetrieveObject).from_select(_COLUMNS, rows(job_id, order, ignore_known, content))
        session.execute(statement)


def _is_enough(
    content: str, reason: SQLColumnExpression[str], sop_class_uid: SQLColumnExpression[str]
) -> ColumnElement[bool]:
    """Return the condition that the header of an object is enough (`header_is_enough`)."""
    if content != HEADERS:
        return false()
    return and_(reason.in_(HEADER_REASONS), sop_class_uid.not_in(WHOLE_CLASSES))


def _content(as_header: ColumnElement[bool]) -> ColumnElement[str]:
    return case((as_header, HEADERS), else_=WHOLE)


def _named(job_id: str, order: RunRetrieve, ignore_known: bool, content: str) -> SelectBase:
    sop_class_uid = func.coalesce(QueryObject.sop_class_uid, "")
    as_header = _is_enough(content, QueryObject.reason, sop_class_uid)
    return (
        select(
            literal(job_id, String),
            QueryObject.study_instance_uid,
            QueryObject.series_instance_uid,
            QueryObject.sop_instance_uid,
            sop_class_uid,
            _content(as_header),
            literal(None),
            literal("expected"),
            literal(0),
            literal(""),
            literal(""),
        )
        .join(QuerySeries, _same_series())
        .join(QueryStudy, _same_study())
        .where(_selected(order), QueryObject.decision == KEEP)
        .where(~is_here(order.query_id, QueryObject, as_header, ignore_known=ignore_known))
    )


def _listed_before(job_id: str, order: RunRetrieve, ignore_known: bool, content: str) -> SelectBase:
    """Select the objects of series that were listed before, each once, that have not arrived."""
    earlier = RetrieveObject
    as_header = _is_enough(content, QuerySeries.reason, earlier.sop_class_uid)
    return (
        select(
            literal(job_id, String),
            earlier.study_instance_uid,
            earlier.series_instance_uid,
            earlier.sop_instance_uid,
            func.max(earlier.sop_class_uid),
            func.min(_content(as_header)),
            literal(None),
            literal("expected"),
            literal(0),
            literal(""),
            literal(""),
        )
        .join(Retrieve, Retrieve.id == earlier.job_id)
        .join(
            QuerySeries,
            and_(
                QuerySeries.job_id == Retrieve.query_id,
                QuerySeries.study_instance_uid == earlier.study_instance_uid,
                QuerySeries.series_instance_uid == earlier.series_instance_uid,
            ),
        )
        .join(QueryStudy, _same_study())
        .where(_selected(order), QuerySeries.whole, ~exists().where(_same_series()))
        .where(_is_listed(order.query_id), or_(earlier.state != "arrived", earlier.content != WHOLE))
        .where(~is_here(order.query_id, RetrieveObject, as_header, ignore_known=ignore_known))
        .group_by(earlier.study_instance_uid, earlier.series_instance_uid, earlier.sop_instance_uid)
    )


def _is_listed(query_id: str) -> ColumnElement[bool]:
    """Return the condition that earlier retrieves know all objects of a series by name."""
    row = aliased(RetrieveObject)
    of_series = and_(
        row.job_id.in_(select(Retrieve.id).where(Retrieve.query_id == query_id)),
        row.study_instance_uid == QuerySeries.study_instance_uid,
        row.series_instance_uid == QuerySeries.series_instance_uid,
    )
    names = select(func.count(func.distinct(row.sop_instance_uid))).where(of_series)
    unnamed = exists().where(of_series, row.sop_instance_uid == "")
    number = names.correlate(QuerySeries).scalar_subquery()
    return and_(number > 0, number >= func.coalesce(QuerySeries.instance_count, 0), ~unnamed)


def _unlisted(job_id: str, order: RunRetrieve, ignore_known: bool, content: str) -> SelectBase:
    """Select whole series without named objects, unless at least as many arrived as it announces."""
    count = QuerySeries.instance_count
    as_header = _is_enough(content, QuerySeries.reason, literal("", String))
    here = [count <= _arrived_of_series(order.query_id, as_header)]
    if ignore_known:
        here.append(count <= _stored_of_series(as_header))
    return (
        select(
            literal(job_id, String),
            QuerySeries.study_instance_uid,
            QuerySeries.series_instance_uid,
            literal(""),
            literal(""),
            _content(as_header),
            count,
            literal("expected"),
            literal(0),
            literal(""),
            literal(""),
        )
        .join(QueryStudy, _same_study())
        .where(_selected(order), QuerySeries.whole, ~exists().where(_same_series()))
        .where(~_is_listed(order.query_id), or_(count.is_(None), count == 0, ~or_(*here)))
    )


def _selected(order: RunRetrieve) -> ColumnElement[bool]:
    parts = [
        QuerySeries.job_id == order.query_id,
        QuerySeries.decision == KEEP,
        QueryStudy.decision == KEEP,
    ]
    if order.types:
        parts.append(QueryStudy.type.in_(order.types))
    if order.study_instance_uids:
        parts.append(QueryStudy.study_instance_uid.in_(order.study_instance_uids))
    return and_(*parts)


def _same_study() -> ColumnElement[bool]:
    return and_(
        QueryStudy.job_id == QuerySeries.job_id,
        QueryStudy.study_instance_uid == QuerySeries.study_instance_uid,
    )


def _same_series() -> ColumnElement[bool]:
    return and_(
        QueryObject.job_id == QuerySeries.job_id,
        QueryObject.study_instance_uid == QuerySeries.study_instance_uid,
        QueryObject.series_instance_uid == QuerySeries.series_instance_uid,
    )


def is_here(
    query_id: str,
    wanted: type[QueryObject | RetrieveObject],
    as_header: ColumnElement[bool],
    *,
    ignore_known: bool,
) -> ColumnElement[bool]:
    """Return the condition that an object arrived for this query, or is in the store where that counts.

    `wanted` is a table with the three UIDs of an object; `as_header`: its header is enough.
    """
    earlier = aliased(RetrieveObject)
    arrived = exists().where(
        Retrieve.query_id == query_id,
        earlier.job_id == Retrieve.id,
        earlier.study_instance_uid == wanted.study_instance_uid,
        earlier.series_instance_uid == wanted.series_instance_uid,
        earlier.sop_instance_uid == wanted.sop_instance_uid,
        earlier.state == "arrived",
        or_(earlier.content == WHOLE, as_header),
    )
    if not ignore_known:
        return arrived
    stored = exists().where(
        StoredObject.sop_instance_uid == wanted.sop_instance_uid,
        StoredObject.source == STORE,
        or_(StoredObject.content == WHOLE, as_header),
    )
    return or_(arrived, stored)


def _arrived_of_series(query_id: str, as_header: ColumnElement[bool]) -> ColumnElement[int]:
    return (
        select(func.count(func.distinct(RetrieveObject.sop_instance_uid)))
        .join(Retrieve, RetrieveObject.job_id == Retrieve.id)
        .where(
            Retrieve.query_id == query_id,
            RetrieveObject.study_instance_uid == QuerySeries.study_instance_uid,
            RetrieveObject.series_instance_uid == QuerySeries.series_instance_uid,
            RetrieveObject.state == "arrived",
            or_(RetrieveObject.content == WHOLE, as_header),
        )
        .correlate(QuerySeries)
        .scalar_subquery()
    )


def _stored_of_series(as_header: ColumnElement[bool]) -> ColumnElement[int]:
    return (
        select(func.count())
        .where(
            StoredObject.study_instance_uid == QuerySeries.study_instance_uid,
            StoredObject.series_instance_uid == QuerySeries.series_instance_uid,
            StoredObject.source == STORE,
            or_(StoredObject.content == WHOLE, as_header),
        )
        .correlate(QuerySeries)
        .scalar_subquery()
    )


def kept_classes(session: Session, query_id: str) -> tuple[str, ...]:
    """Return the storage classes of what a query kept, as the PACS or else the modality names them."""
    kept = and_(QueryObject.job_id == query_id, QueryObject.decision == KEEP)
    named = session.scalars(select(QueryObject.sop_class_uid).distinct().where(kept)).all()
    of_series = and_(_same_series(), QueryObject.decision == KEEP, QueryObject.sop_class_uid != "")
    unnamed = (
        select(QuerySeries.modality)
        .distinct()
        .where(QuerySeries.job_id == query_id, QuerySeries.decision == KEEP, ~exists().where(of_series))
    )
    classes = [uid for uid in named if uid and Uid.problem_of(uid) is None]
    return classes_for(session.scalars(unnamed).all(), classes)
