"""Summaries of the dose reports of a retrieve, for its page, its JSON and its export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, NotRequired, TypedDict, TypeVar

from sqlalchemy import Row, Select, Text, and_, case, cast, func, select
from sqlalchemy.orm import Session

from shared.database.models import QueryStudy, ReportSummary, Retrieve, RetrieveObject, StoredObject
from shared.database.models.store import REGISTERED
from shared.dose.concepts import READ_CLASSES
from shared.dose.summary import FigureJson, SummaryJson

#: UIDs of study, series and object, type of the study, when it was read, why not, length of its summary.
KeyRow = Row[str, str, str, str | None, datetime | None, str | None, int | None]
KeySelect = Select[str, str, str, str | None, datetime | None, str | None, int | None]

#: Rows whose keys are read together.
PAGE = 500
#: Characters of JSON that are read together, however large single summaries are.
MAX_JSON_LENGTH = 4 << 20
#: Figures of a kind and unit from single events, and totals, that `brief` leaves.
EVENTS_SHOWN, TOTALS_SHOWN = 5, 50


class BriefSummary(SummaryJson):
    """A summary with the number of figures that it leaves out."""

    totals_not_shown: NotRequired[int]
    #: Figures of events.
    unreadable_not_shown: NotRequired[int]


SummaryT = TypeVar("SummaryT", SummaryJson, BriefSummary)


class ReportEntry(TypedDict, Generic[SummaryT]):
    """A dose report that arrived at DoseQR's own store."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    type: str | None
    #: waiting, read or unreadable.
    state: str
    #: Why it is unreadable.
    reason: str
    summary: SummaryT | None


class UnreadCounts(TypedDict):
    """Objects that arrived and that no report covers."""

    #: In DoseQR's own store, but of another kind, mostly images.
    no_report: int
    #: In another store.
    elsewhere: int


def summaries(
    session: Session, job_id: str, *, limit: int | None = None, skip: int = 0
) -> Iterator[ReportEntry[SummaryJson]]:
    """Yield an entry for each dose report that arrived at DoseQR's own store, in the order of UIDs.

    Of all, `skip` are left out at the beginning.
    `summary` is None while nobody has read it (`state` waiting) or where it is `unreadable`, with a reason.
    Only some summaries are in memory together.
    """
    last = ("", "", "")
    left = limit
    while left is None or left > 0:
        keys = _page(job_id, last, PAGE if left is None else min(PAGE, left))
        rows = session.execute(keys.offset(skip)).all()
        skip = 0
        if not rows:
            return
        for chunk in _chunks(rows):
            by_uid = _summaries_of(session, [row.sop_instance_uid for row in chunk if row.length])
            yield from (_entry(row, by_uid.get(row.sop_instance_uid)) for row in chunk)
        last = (rows[-1].study_instance_uid, rows[-1].series_instance_uid, rows[-1].sop_instance_uid)
        left = None if left is None else left - len(rows)


def brief(entry: ReportEntry[SummaryJson]) -> ReportEntry[BriefSummary]:
    """Return an entry with totals and the first figures of events: what a page shows of it.

    The summary counts what it leaves: `totals_not_shown`, and `unreadable_not_shown` figures of events.
    """
    summary = entry["summary"]
    if summary is None:
        return {**entry, "summary": None}
    figures: list[FigureJson] = []
    totals, unreadable = 0, 0
    shown: Counter[tuple[str, str]] = Counter()
    for figure in summary["figures"]:
        if not is_of_event(figure):
            totals += 1
            keep = totals <= TOTALS_SHOWN
        elif figure["value"] is None:
            unreadable += 1
            keep = False
        else:
            key = (figure["name"], figure["unit"])
            shown[key] += 1
            keep = shown[key] <= EVENTS_SHOWN
        if keep:
            figures.append(figure)
    shortened: BriefSummary = {
        **summary,
        "figures": figures,
        "totals_not_shown": max(0, totals - TOTALS_SHOWN),
        "unreadable_not_shown": unreadable,
    }
    return {**entry, "summary": shortened}


def is_of_event(figure: FigureJson) -> bool:
    """Return whether a figure belongs to a single irradiation event."""
    return figure["of"].startswith("event ")


def _chunks(rows: Sequence[KeyRow]) -> Iterator[list[KeyRow]]:
    chunk: list[KeyRow] = []
    length = 0
    for row in rows:
        if chunk and length + (row.length or 0) > MAX_JSON_LENGTH:
            yield chunk
            chunk, length = [], 0
        chunk.append(row)
        length += row.length or 0
    if chunk:
        yield chunk


def _summaries_of(session: Session, sop_instance_uids: Sequence[str]) -> dict[str, SummaryJson | None]:
    if not sop_instance_uids:
        return {}
    uid = ReportSummary.sop_instance_uid
    rows = session.execute(select(uid, ReportSummary.summary).where(uid.in_(sop_instance_uids)))
    return {row.sop_instance_uid: row.summary for row in rows}


class ReportCounts(NamedTuple):
    """Dose reports of a retrieve in DoseQR's own store, and what arrived that no report covers, if any."""

    reports: int
    unread: UnreadCounts | None


def report_counts(session: Session, job_id: str) -> ReportCounts:
    """Return the numbers of a retrieve, counted together: it may have many objects."""
    uid = RetrieveObject.sop_instance_uid
    own = and_(StoredObject.sop_instance_uid == uid, StoredObject.source != REGISTERED)
    weight = case((uid == "", func.coalesce(RetrieveObject.announced, 1)), else_=1)
    elsewhere = func.sum(case((StoredObject.sop_instance_uid.is_(None), weight), else_=0))
    reports = func.sum(case((StoredObject.sop_class_uid.in_(READ_CLASSES), 1), else_=0))
    others = func.sum(case((StoredObject.sop_class_uid.not_in(READ_CLASSES), 1), else_=0))
    row = session.execute(
        select(reports, others, elsewhere)
        .select_from(RetrieveObject)
        .join(StoredObject, own, isouter=True)
        .where(RetrieveObject.job_id == job_id, RetrieveObject.state == "arrived")
    ).one()
    counts: UnreadCounts = {"no_report": int(row[1] or 0), "elsewhere": int(row[2] or 0)}
    return ReportCounts(int(row[0] or 0), counts if any(counts.values()) else None)


def _reports(job_id: str) -> KeySelect:
    stored = and_(
        StoredObject.sop_instance_uid == RetrieveObject.sop_instance_uid,
        StoredObject.source != REGISTERED,
        StoredObject.sop_class_uid.in_(READ_CLASSES),
    )
    return (
        select(
            RetrieveObject.study_instance_uid,
            RetrieveObject.series_instance_uid,
            RetrieveObject.sop_instance_uid,
            QueryStudy.type,
            ReportSummary.read_at,
            ReportSummary.unreadable,
            func.length(cast(ReportSummary.summary, Text)).label("length"),
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


def _page(job_id: str, last: tuple[str, str, str], limit: int) -> KeySelect:
    key = (
        RetrieveObject.study_instance_uid,
        RetrieveObject.series_instance_uid,
        RetrieveObject.sop_instance_uid,
    )
    study, series, uid = last
    after = (key[0] > study) | ((key[0] == study) & (key[1] > series))
    after |= (key[0] == study) & (key[1] == series) & (key[2] > uid)
    return _reports(job_id).where(after).order_by(*key).limit(limit)


def _entry(row: KeyRow, summary: SummaryJson | None) -> ReportEntry[SummaryJson]:
    state = "waiting" if row.read_at is None else "unreadable" if row.unreadable else "read"
    return {
        "study_instance_uid": row.study_instance_uid,
        "series_instance_uid": row.series_instance_uid,
        "sop_instance_uid": row.sop_instance_uid,
        "type": row.type,
        "state": state,
        "reason": row.unreadable or "",
        "summary": summary,
    }
