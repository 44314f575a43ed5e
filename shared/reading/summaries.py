"""What the dose reports of a retrieve say, for its page, its JSON and its export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import and_, case, func, select
from sqlalchemy.orm import Session

from shared.database.models import QueryStudy, ReportSummary, Retrieve, RetrieveObject, StoredObject
from shared.dose.reports import REPORT_CLASSES

#: Rows that are read at once.
PAGE = 500


def summaries(session: Session, job_id: str, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield an entry for each dose report that arrived at DoseQR's own store, in the order of UIDs.

    `summary` is None while nobody has read it (`state` waiting) or where it is `unreadable`, with a reason.
    """
    last = ("", "", "")
    left = limit
    while left is None or left > 0:
        rows = session.execute(_page(job_id, last, PAGE if left is None else min(PAGE, left))).all()
        if not rows:
            return
        yield from map(_entry, rows)
        last = (rows[-1].study_instance_uid, rows[-1].series_instance_uid, rows[-1].sop_instance_uid)
        left = None if left is None else left - len(rows)


def count_of_reports(session: Session, job_id: str) -> int:
    """Return how many dose reports of a retrieve are in DoseQR's own store."""
    return session.scalar(select(func.count()).select_from(_reports(job_id).subquery())) or 0


def unread(session: Session, job_id: str) -> dict[str, int] | None:
    """Return how many objects arrived of which no report tells: `no_report`, `elsewhere`; None if none did.

    `no_report`: in DoseQR's own store, but of another kind, mostly images; `elsewhere`: in another store.
    """
    uid = RetrieveObject.sop_instance_uid
    own = and_(StoredObject.sop_instance_uid == uid, StoredObject.source == "store")
    weight = case((uid == "", func.coalesce(RetrieveObject.announced, 1)), else_=1)
    elsewhere = func.sum(case((StoredObject.sop_instance_uid.is_(None), weight), else_=0))
    others = func.sum(case((StoredObject.sop_class_uid.not_in(REPORT_CLASSES), 1), else_=0))
    row = session.execute(
        select(others, elsewhere)
        .select_from(RetrieveObject)
        .join(StoredObject, own, isouter=True)
        .where(RetrieveObject.job_id == job_id, RetrieveObject.state == "arrived")
    ).one()
    counts = {"no_report": int(row[0] or 0), "elsewhere": int(row[1] or 0)}
    return counts if any(counts.values()) else None


def _reports(job_id: str) -> Any:
    stored = and_(
        StoredObject.sop_instance_uid == RetrieveObject.sop_instance_uid,
        StoredObject.source == "store",
        StoredObject.sop_class_uid.in_(REPORT_CLASSES),
    )
    return (
        select(
            RetrieveObject.study_instance_uid,
            RetrieveObject.series_instance_uid,
            RetrieveObject.sop_instance_uid,
            QueryStudy.type,
            ReportSummary.read_at,
            ReportSummary.unreadable,
            ReportSummary.summary,
        )
        .join(StoredObject, stored)
        .join(Retrieve, Retrieve.id == RetrieveObject.job_id)
        .join(
            QueryStudy,
            and_(
                QueryStudy.job_id == Retrieve.query_id,
                QueryStudy.study_instance_uid == RetrieveObject.study_instance_uid,
            ),
            isouter=True,
        )
        .join(
            ReportSummary,
            ReportSummary.sop_instance_uid == RetrieveObject.sop_instance_uid,
            isouter=True,
        )
        .where(RetrieveObject.job_id == job_id, RetrieveObject.state == "arrived")
    )


def _page(job_id: str, last: tuple[str, str, str], limit: int) -> Any:
    key = (
        RetrieveObject.study_instance_uid,
        RetrieveObject.series_instance_uid,
        RetrieveObject.sop_instance_uid,
    )
    study, series, uid = last
    after = (key[0] > study) | ((key[0] == study) & (key[1] > series))
    after |= (key[0] == study) & (key[1] == series) & (key[2] > uid)
    return _reports(job_id).where(after).order_by(*key).limit(limit)


def _entry(row: Any) -> dict[str, Any]:
    state = "waiting" if row.read_at is None else "unreadable" if row.unreadable else "read"
    return {
        "study_instance_uid": row.study_instance_uid,
        "series_instance_uid": row.series_instance_uid,
        "sop_instance_uid": row.sop_instance_uid,
        "type": row.type,
        "state": state,
        "reason": row.unreadable or "",
        "summary": row.summary,
    }
