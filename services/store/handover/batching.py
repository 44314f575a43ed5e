"""Putting what has arrived into batches: those of a retrieve together, what came by itself by study."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import exists, or_, select, update
from sqlalchemy.orm import Session

from shared.contract.messages import ENDED
from shared.database.models.handover import HandoverBatch, HandoverMark, HandoverObject
from shared.database.models.retrieve import Retrieve, RetrieveObject
from shared.database.models.store import STORE, StoredObject
from shared.database.session import Database

#: Most objects of one batch.
MAX_OBJECTS = 200
#: Objects that are read in one transaction.
BATCH_SIZE = 500
#: Rows become visible some time after the moment that they carry: so far back is read again.
OVERLAP = timedelta(seconds=60)
#: A study that came by itself is handed over when nothing more of it has come for so long.
QUIET = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class _Key:
    """What the objects of a batch have in common; one of both is empty."""

    job_id: str
    study_instance_uid: str


def begin(database: Database, now: datetime) -> datetime:
    """Return since when arrivals are handed over: from now on, if it never was done before.

    Raises:
        DatabaseAwayError: the database cannot be reached.
    """
    with database.write() as session:
        mark = session.get(HandoverMark, 1)
        if mark is None:
            mark = HandoverMark(id=1, received_until=now)
            session.add(mark)
        return mark.received_until


def move_mark(database: Database, until: datetime) -> None:
    """Remember that all before this moment is in batches.

    Raises:
        DatabaseAwayError: nothing was remembered.
    """
    with database.write() as session:
        session.execute(update(HandoverMark).values(received_until=until))


def ended_retrieves(database: Database) -> list[str]:
    """Return the retrieves with an open batch that have ended.

    Raises:
        DatabaseAwayError: the database cannot be reached.
    """
    opened = select(HandoverBatch.job_id).where(HandoverBatch.state == "open", HandoverBatch.job_id != "")
    wanted = select(Retrieve.id).where(Retrieve.id.in_(opened), Retrieve.status.in_(ENDED))
    with database.read() as session:
        return list(session.scalars(wanted))


def add_arrivals(database: Database, since: datetime, now: datetime) -> int:
    """Put objects that arrived since then, and that are in no batch, into batches; returns how many.

    Raises:
        DatabaseAwayError: nothing was put.
    """
    with database.write() as session:
        fresh = _fresh(session, since)
        if fresh:
            owners = _retrieves_of(session, fresh)
            for key, objects in _by_key(fresh, owners).items():
                _add(session, key, objects, now)
        return len(fresh)


def close(database: Database, ended: Sequence[str], now: datetime) -> None:
    """Let batches go out to which nothing more comes.

    Raises:
        DatabaseAwayError: nothing was changed.
    """
    quiet = (HandoverBatch.job_id == "") & (HandoverBatch.last_added_at <= now - QUIET)
    over = or_(quiet, HandoverBatch.job_id.in_(ended), HandoverBatch.objects >= MAX_OBJECTS)
    with database.write() as session:
        session.execute(
            update(HandoverBatch)
            .where(HandoverBatch.state == "open", over)
            .values(state="waiting", due_at=now)
        )


def _fresh(session: Session, since: datetime) -> list[StoredObject]:
    in_batch = exists().where(
        HandoverObject.sop_instance_uid == StoredObject.sop_instance_uid,
        HandoverObject.sha256 == StoredObject.sha256,
    )
    wanted = (
        select(StoredObject)
        .where(StoredObject.last_received_at >= since, StoredObject.source == STORE, ~in_batch)
        .order_by(StoredObject.last_received_at, StoredObject.sop_instance_uid)
        .limit(BATCH_SIZE)
    )
    return list(session.scalars(wanted))


def _retrieves_of(session: Session, objects: Sequence[StoredObject]) -> dict[str, str]:
    """Return the newest retrieve that expected each object when it came, where there is one."""
    earliest = min(stored.last_received_at for stored in objects) - OVERLAP
    uids = [stored.sop_instance_uid for stored in objects]
    expecting = (
        select(
            RetrieveObject.study_instance_uid,
            RetrieveObject.series_instance_uid,
            RetrieveObject.sop_instance_uid,
            Retrieve.id,
        )
        .join(Retrieve, Retrieve.id == RetrieveObject.job_id)
        .where(
            or_(Retrieve.ended_at.is_(None), Retrieve.ended_at >= earliest),
            RetrieveObject.study_instance_uid.in_({stored.study_instance_uid for stored in objects}),
            # A row without a SOP Instance UID stands for a series of which the PACS names no object.
            RetrieveObject.sop_instance_uid.in_([*uids, ""]),
        )
        .order_by(Retrieve.requested_at)
    )
    named = {(study, series, sop): job_id for study, series, sop, job_id in session.execute(expecting)}
    owners = {}
    for stored in objects:
        series = (stored.study_instance_uid, stored.series_instance_uid)
        owner = named.get((*series, stored.sop_instance_uid)) or named.get((*series, ""))
        if owner:
            owners[stored.sop_instance_uid] = owner
    return owners


def _by_key(objects: Iterable[StoredObject], owners: dict[str, str]) -> dict[_Key, list[StoredObject]]:
    groups: dict[_Key, list[StoredObject]] = {}
    for stored in objects:
        job_id = owners.get(stored.sop_instance_uid, "")
        key = _Key(job_id, "" if job_id else stored.study_instance_uid)
        groups.setdefault(key, []).append(stored)
    return groups


def _add(session: Session, key: _Key, objects: list[StoredObject], now: datetime) -> None:
    left = objects
    while left:
        batch = _open_batch(session, key) or _new_batch(session, key, now)
        part, left = left[: MAX_OBJECTS - batch.objects], left[MAX_OBJECTS - batch.objects :]
        session.add_all(_row(batch.id, stored) for stored in part)
        batch.objects += len(part)
        batch.last_added_at = now
        session.flush()


def _open_batch(session: Session, key: _Key) -> HandoverBatch | None:
    wanted = select(HandoverBatch).where(
        HandoverBatch.state == "open",
        HandoverBatch.job_id == key.job_id,
        HandoverBatch.study_instance_uid == key.study_instance_uid,
        HandoverBatch.objects < MAX_OBJECTS,
    )
    return session.scalars(wanted.limit(1)).first()


def _new_batch(session: Session, key: _Key, now: datetime) -> HandoverBatch:
    batch = HandoverBatch(
        id=uuid4().hex,
        job_id=key.job_id,
        study_instance_uid=key.study_instance_uid,
        state="open",
        objects=0,
        attempts=0,
        created_at=now,
        last_added_at=now,
        due_at=now,
    )
    session.add(batch)
    session.flush()
    return batch


def _row(batch_id: str, stored: StoredObject) -> HandoverObject:
    return HandoverObject(
        sop_instance_uid=stored.sop_instance_uid,
        sha256=stored.sha256,
        batch_id=batch_id,
        study_instance_uid=stored.study_instance_uid,
        series_instance_uid=stored.series_instance_uid,
        sop_class_uid=stored.sop_class_uid,
        path=stored.path,
        size_bytes=stored.size_bytes,
        content=stored.content,
    )
