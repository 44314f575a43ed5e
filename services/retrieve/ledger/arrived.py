"""Statements on what arrived: receipts of the store, and the rows of the ledger that they close."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from services.retrieve.context import RetrieveContext
from services.retrieve.ledger.conditions import (
    UIDS_AT_ONCE,
    add_counts,
    execute,
    recount,
    row_key,
    rows_of,
    series_rows,
)
from services.retrieve.planning.arrivals import Arrivals
from services.retrieve.planning.attempts import UNNAMED
from services.retrieve.planning.moves import SeriesPart
from services.retrieve.planning.payloads import SeriesKey
from shared.database.models import RetrieveObject, StoredObject
from shared.database.models.store import HEADERS, REGISTERED, STORE, WHOLE
from shared.database.upsert import insert_missing


def receipts(session: Session, context: RetrieveContext, parts: Iterable[SeriesPart]) -> Arrivals:
    """Return what the store has received of these parts."""
    arrivals = Arrivals()
    names = [uid for part in parts for uid in part.sop_instance_uids]
    for start in range(0, len(names), UIDS_AT_ONCE):
        chunk = StoredObject.sop_instance_uid.in_(names[start : start + UIDS_AT_ONCE])
        arrivals.sop_instance_uids.update(
            session.scalars(select(StoredObject.sop_instance_uid).where(chunk, receipt_counts(context)))
        )
    for part in parts:
        if part.unlisted:
            uids = _received_of_series(session, context, part.key)
            if uids:
                arrivals.unlisted[part.key] = uids
    return arrivals


def _received_of_series(session: Session, context: RetrieveContext, key: SeriesKey) -> set[str]:
    of_series = and_(StoredObject.study_instance_uid == key[0], StoredObject.series_instance_uid == key[1])
    since = StoredObject.last_received_at >= context.since
    uid = StoredObject.sop_instance_uid
    return set(session.scalars(select(uid).where(of_series, since, receipt_counts(context))))


def receipt_counts(context: RetrieveContext) -> ColumnElement[bool]:
    """Return the condition that a row of the store is a receipt for this retrieve."""
    since = StoredObject.last_received_at >= context.since
    if not context.own_store:
        # What DoseQR's own store received meanwhile, for another retrieve, is not there: unless the PACS
        # cannot tell the two apart.
        return since if context.own_title else and_(StoredObject.source == REGISTERED, since)
    ours = and_(StoredObject.source == STORE, _is_enough(context))
    return ours if context.ignore_known else and_(ours, since)


def _is_enough(context: RetrieveContext) -> ColumnElement[bool]:
    """Return the condition that a row is of a whole object, or of a header where one is wanted."""
    whole = StoredObject.content == WHOLE
    if context.content == WHOLE:
        return whole
    row = aliased(RetrieveObject)
    of_object = and_(
        row.job_id == context.job_id,
        row.study_instance_uid == StoredObject.study_instance_uid,
        row.series_instance_uid == StoredObject.series_instance_uid,
        row.sop_instance_uid.in_((StoredObject.sop_instance_uid, "")),
    )
    return or_(whole, exists().where(of_object, row.content == HEADERS).correlate(StoredObject))


def save_arrived(
    session: Session,
    context: RetrieveContext,
    arrivals: Arrivals,
    parts: Iterable[SeriesPart],
    complete: Iterable[SeriesKey],
    now: datetime,
) -> None:
    """Write what arrived of these parts; `complete` are unlisted series of which nothing more comes."""
    add_counts(session, context.job_id, arrived=_save_named(session, context.job_id, parts, arrivals, now))
    done = set(complete)
    for key, uids in arrivals.unlisted.items():
        _save_unlisted(session, context.job_id, key, uids, complete=key in done, now=now)


def _save_named(
    session: Session, job_id: str, parts: Iterable[SeriesPart], arrivals: Arrivals, now: datetime
) -> int:
    here = [found for part in parts if (found := part.only(arrivals.sop_instance_uids)) is not None]
    late = RetrieveObject.state != "arrived"
    return sum(
        execute(session, update(RetrieveObject).where(which, late).values(_arrived(now)))
        for which in rows_of(job_id, here)
    )


def _arrived(now: datetime) -> dict[str, object]:
    return {"state": "arrived", "arrived_at": now, "reason": "", "detail": ""}


def _save_unlisted(
    session: Session, job_id: str, key: SeriesKey, uids: set[str], *, complete: bool, now: datetime
) -> None:
    row = session.get(RetrieveObject, (job_id, *key, ""), populate_existing=True)
    content = row.content if row is not None else WHOLE
    rows = [
        {**row_key(job_id, key), "sop_instance_uid": uid, "content": content, "asked": 1, **_arrived(now)}
        for uid in sorted(uids - UNNAMED)
    ]
    new = len(insert_missing(session, RetrieveObject, rows))
    if row is None:
        add_counts(session, job_id, asked=new, arrived=new)
        return
    weight = row.announced or 1
    if uids == UNNAMED:  # reported by the PACS, which names nothing
        row.state, row.arrived_at, row.reason, row.detail = "arrived", now, "", ""
        add_counts(session, job_id, arrived=weight)
        return
    if complete or (row.announced and new >= weight):
        session.delete(row)
        left = 0
    elif row.announced:
        row.announced = left = weight - new
    else:  # nobody knows how many are still to come: the row stays until the series is complete
        left = weight
    session.flush()
    add_counts(session, job_id, asked=new + left - weight, arrived=new)


def _has_names(session: Session, job_id: str, key: SeriesKey) -> bool:
    named = select(RetrieveObject.sop_instance_uid).where(
        series_rows(job_id, key), RetrieveObject.sop_instance_uid != ""
    )
    return session.execute(named.limit(1)).first() is not None


def save_late(session: Session, context: RetrieveContext, now: datetime) -> None:
    """Write what arrived of the whole retrieve after it was given up, or after its task was interrupted."""
    uid = RetrieveObject.sop_instance_uid
    received = exists().where(StoredObject.sop_instance_uid == uid, receipt_counts(context))
    late = and_(RetrieveObject.job_id == context.job_id, RetrieveObject.state != "arrived")
    execute(session, update(RetrieveObject).where(late, uid != "", received).values(_arrived(now)))
    columns = (
        RetrieveObject.study_instance_uid,
        RetrieveObject.series_instance_uid,
        RetrieveObject.announced,
    )
    for study, series, announced in session.execute(select(*columns).where(late, uid == "")).all():
        uids = _received_of_series(session, context, (study, series))
        if uids:
            # Of a series that had come in part when it was given up, nobody knows whether this is the rest.
            complete = announced is None and not _has_names(session, context.job_id, (study, series))
            _save_unlisted(session, context.job_id, (study, series), uids, complete=complete, now=now)
    recount(session, context.job_id)
