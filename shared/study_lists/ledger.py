"""Long lists of studies: their rows, the part that is next, and how far each list is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.contract.criteria_fields import MAX_IDENTIFIERS
from shared.contract.envelope import new_id
from shared.contract.json_types import JsonDocument, JsonObject
from shared.contract.messages import ENDED, JobStatus
from shared.database.models import LongList, LongListPart, Node, Query
from shared.nodes.names import name_before_removal

#: Parts of a list that run at the same time: the next is there when one ends.
AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class NewList:
    """A list to be queried."""

    name: str
    field: str
    identifiers: Sequence[str]
    remote: Node
    store: Node
    #: Without identifiers.
    criteria: JsonObject
    retrieve: bool
    requested_by: str
    #: Lines of the file that are not among the identifiers because they are wrong.
    left_out: int = 0
    #: Where the same list may come twice; empty: a new one.
    id: str = ""


def number_of_parts(identifiers: int) -> int:
    """Return how many queries a list becomes."""
    return -(-identifiers // MAX_IDENTIFIERS)


def add_list(session: Session, given: NewList, now: datetime) -> str:
    """Write a list and its parts, once; return its id."""
    list_id = given.id or new_id()
    if session.get(LongList, list_id) is not None:
        return list_id
    row = LongList(
        id=list_id,
        name="".join(character for character in given.name if character.isprintable())[:128] or "list",
        field=given.field,
        remote_id=given.remote.id,
        store_id=given.store.id,
        criteria=given.criteria,
        retrieve=given.retrieve,
        identifiers=len(given.identifiers),
        left_out=given.left_out,
        requested_by=given.requested_by,
        requested_at=now,
    )
    session.add(row)
    session.flush()
    for number, start in enumerate(range(0, len(given.identifiers), MAX_IDENTIFIERS), 1):
        part = list(given.identifiers[start : start + MAX_IDENTIFIERS])
        job_id = f"{list_id}-{number}"
        session.add(LongListPart(list_id=list_id, number=number, identifiers=part, job_id=job_id))
    return list_id


def cancel_list(session: Session, list_id: str, requested_by: str, now: datetime) -> bool:
    """Let no part begin, and the query service end those that run; False if it has ended or is unknown."""
    row = session.get(LongList, list_id, with_for_update=True)
    if row is None or row.ended_at is not None or row.cancelled_at is not None:
        return False
    row.cancelled_at, row.cancelled_by = now, requested_by
    return True


def open_lists(session: Session) -> list[str]:
    """Return the ids of the lists that have not ended, the oldest first."""
    rows = select(LongList.id).where(LongList.ended_at.is_(None))
    return list(session.scalars(rows.order_by(LongList.requested_at, LongList.id)))


@dataclass(frozen=True, slots=True)
class PartOrder:
    """A part that is to be queried."""

    job_id: str
    remote_id: int
    store_id: int
    criteria: JsonObject
    retrieve: bool
    requested_by: str


@dataclass(slots=True)
class Step:
    """What is to be done for a list now."""

    begin: list[PartOrder] = field(default_factory=list)
    cancel: list[str] = field(default_factory=list)
    cancelled_by: str = ""


def next_step(session: Session, list_id: str, now: datetime) -> Step:
    """Take the parts that may begin, with the list locked; end a list that has nothing left to do.

    A part that was taken and has no query yet is returned again: whoever took it may have died.
    """
    row = session.get(LongList, list_id, with_for_update=True)
    if row is None or row.ended_at is not None:
        return Step()
    statuses = _statuses(session, list_id)
    running = [job_id for job_id, begun, status in statuses if begun and status not in ENDED]
    waiting = [job_id for job_id, begun, _ in statuses if not begun]
    if row.cancelled_at is not None:
        # Of a part that was just taken there is no query yet: the cancellation waits for it.
        if not any(status is not None and status not in ENDED for _, _, status in statuses):
            row.ended_at = now
        return Step(cancel=running, cancelled_by=row.cancelled_by)
    if not running and not waiting:
        row.ended_at = now
        return Step()
    taken = {job_id for job_id, begun, status in statuses if begun and status is None}
    taken.update(waiting[: max(0, AT_ONCE - len(running))])
    return Step(begin=[_order(row, part, now) for part in _parts(session, list_id, taken)])


def fail_list(session: Session, list_id: str, detail: str, now: datetime) -> None:
    """End a list that cannot go on."""
    row = session.get(LongList, list_id, with_for_update=True)
    if row is not None and row.ended_at is None:
        row.ended_at, row.detail = now, detail


def _statuses(session: Session, list_id: str) -> list[tuple[str, bool, str | None]]:
    rows = session.execute(
        select(LongListPart.job_id, LongListPart.begun_at, Query.status)
        .outerjoin(Query, Query.id == LongListPart.job_id)
        .where(LongListPart.list_id == list_id)
        .order_by(LongListPart.number)
    )
    return [(job_id, begun_at is not None, status) for job_id, begun_at, status in rows]


def _parts(session: Session, list_id: str, job_ids: set[str]) -> Iterator[LongListPart]:
    wanted = select(LongListPart).where(LongListPart.list_id == list_id, LongListPart.job_id.in_(job_ids))
    yield from session.scalars(wanted.order_by(LongListPart.number))


def _order(row: LongList, part: LongListPart, now: datetime) -> PartOrder:
    part.begun_at = part.begun_at or now
    criteria: JsonDocument = {**row.criteria, row.field: list(part.identifiers)}
    return PartOrder(part.job_id, row.remote_id, row.store_id, criteria, row.retrieve, row.requested_by)


@dataclass(frozen=True, slots=True)
class ListState:
    """How far a list is, in all its parts."""

    row: LongList
    remote: str
    store: str
    parts: int
    ended: int
    found: int
    kept: int
    #: Parts that ended otherwise than completed.
    not_complete: int

    @property
    def status(self) -> JobStatus:
        """A status as jobs have it."""
        if self.row.ended_at is None:
            return "running" if self.ended or self.found else "queued"
        if self.row.detail:
            return "failed"
        if self.row.cancelled_at is not None:
            return "cancelled"
        return "incomplete" if self.not_complete else "completed"


def list_states(session: Session, limit: int, list_id: str | None = None) -> list[ListState]:
    """Return the newest lists, or the one with this id."""
    part, query = LongListPart, Query
    ended = func.count(query.id).filter(query.status.in_(ENDED))
    bad = func.count(query.id).filter(query.status.in_(ENDED - {"completed"}))
    counts = (
        select(
            part.list_id,
            func.count(part.number).label("parts"),
            ended.label("ended"),
            func.coalesce(func.sum(query.studies_found), 0).label("found"),
            func.coalesce(func.sum(query.studies_kept), 0).label("kept"),
            bad.label("bad"),
        )
        .outerjoin(query, query.id == part.job_id)
        .group_by(part.list_id)
    )
    newest = select(LongList.id).order_by(LongList.requested_at.desc(), LongList.id).limit(limit)
    ids = [list_id] if list_id is not None else list(session.scalars(newest))
    found = {row.list_id: row for row in session.execute(counts.where(part.list_id.in_(ids)))}
    rows = {row.id: row for row in session.scalars(select(LongList).where(LongList.id.in_(ids)))}
    node_ids = {node_id for row in rows.values() for node_id in (row.remote_id, row.store_id)}
    named = session.execute(select(Node.id, Node.name).where(Node.id.in_(node_ids)))
    names = {row.id: name_before_removal(row.name) for row in named}
    return [
        ListState(
            rows[wanted],
            names.get(rows[wanted].remote_id, "?"),
            names.get(rows[wanted].store_id, "?"),
            *(int(getattr(found[wanted], name)) for name in ("parts", "ended", "found", "kept", "bad")),
        )
        for wanted in ids
        if wanted in rows and wanted in found
    ]


@dataclass(frozen=True, slots=True)
class PartState:
    """A part and its query, if that has begun."""

    number: int
    job_id: str
    query: Query | None

    @property
    def retrievable(self) -> bool:
        """Whether its query has ended and kept something."""
        return self.query is not None and self.query.status in ENDED and self.query.studies_kept > 0


def parts_of(session: Session, list_id: str) -> list[PartState]:
    """Return the parts of a list in their order."""
    rows = session.execute(
        select(LongListPart.number, LongListPart.job_id, Query)
        .outerjoin(Query, Query.id == LongListPart.job_id)
        .where(LongListPart.list_id == list_id)
        .order_by(LongListPart.number)
    )
    return [PartState(number, job_id, query) for number, job_id, query in rows]
