"""The table of known objects: every statement of the store service; each function is one transaction."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import cast

from sqlalchemy import Connection, Table, bindparam, case, delete, select, update
from sqlalchemy.exc import IntegrityError

from services.store.objects.identity import Identity
from shared.contract.messages import ObjectReference
from shared.contract.text import Content
from shared.database.models.store import HEADERS, REGISTERED, STORE, WHOLE, StoredObject
from shared.database.session import Database
from shared.database.upsert import insert_or_nothing

_TABLE = cast("Table", StoredObject.__table__)
_sop = _TABLE.c.sop_instance_uid
#: Made once: SQLAlchemy takes longer to make a statement than SQLite to execute it.
_insert_statement = functools.cache(functools.partial(insert_or_nothing, _TABLE))
_COLUMNS = tuple(column.name for column in _TABLE.columns)
_PLAIN_INSERT = (
    f"INSERT INTO {_TABLE.name} ({', '.join(_COLUMNS)}) "  # noqa: S608 - names of ours
    f"VALUES ({', '.join(['%s'] * len(_COLUMNS))}) ON CONFLICT DO NOTHING"
)
#: For SQLite: one statement with one parameter, however many rows.
_INSERT_SQLITE = (
    f"INSERT INTO {_TABLE.name} ({', '.join(_COLUMNS)}) SELECT "  # noqa: S608 - names of ours
    + ", ".join(f"json_extract(value, '$[{place}]')" for place in range(len(_COLUMNS)))
    + " FROM json_each(?)"
)


class Recorded(Enum):
    """The outcome of recording a receipt."""

    #: A new row, or a registered one that is now an object of ours.
    NEW = "new"
    #: The row was there: one more receipt.
    AGAIN = "again"
    #: The UID is known at another path; nothing was changed.
    ELSEWHERE = "elsewhere"
    #: A conflict with an object that has no row yet; nothing was changed.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One object that is safe on disk and must be recorded before its sender gets the response."""

    identity: Identity
    transfer_syntax_uid: str
    calling_ae_title: str
    path: str
    sha256: str
    size_bytes: int
    #: Other bytes with a known UID; `path` is where the first ones lie.
    conflict: bool = False
    #: The known path leads nowhere any more: take this one instead.
    replace: bool = False
    #: Found on disk, not received now: the receipt of its sender may still come, and counts then.
    found: bool = False
    #: New on disk, so that most likely there is no row.
    fresh: bool = False
    #: What of the object lies there: all of it, or its header.
    content: Content = WHOLE


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    """What was recorded, and the path under which the object is known."""

    recorded: Recorded
    path: str


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """Where an object of ours should lie, as of its last receipt."""

    sop_instance_uid: str
    path: str
    last_received_at: datetime


def record(database: Database, receipts: Sequence[Receipt], now: datetime) -> list[RecordOutcome]:
    """Record receipts; the outcomes have their order.

    Raises:
        DatabaseAwayError: nothing was recorded.
    """
    if all(receipt.fresh for receipt in receipts) and _inserted_all(database, receipts, now):
        return [RecordOutcome(Recorded.NEW, receipt.path) for receipt in receipts]
    firsts: dict[str, Receipt] = {}
    for receipt in receipts:
        if not receipt.conflict:
            firsts.setdefault(receipt.identity.sop_instance_uid, receipt)
    with database.transaction() as connection:
        # Sorted, so that two processes take the locks of rows in the same order.
        inserted = _insert(connection, [_row(firsts[uid], now) for uid in sorted(firsts)])
        new = {id(firsts[uid]) for uid in inserted}
        others = {r.identity.sop_instance_uid for r in receipts if id(r) not in new}
        changes = _Changes(_places(connection, sorted(others)), now)
        outcomes = [
            RecordOutcome(Recorded.NEW, receipt.path) if id(receipt) in new else changes.add(receipt)
            for receipt in receipts
        ]
        changes.write(connection)
    return outcomes


class _KnownError(Exception):
    """One of the rows was there."""


def _inserted_all(database: Database, receipts: Sequence[Receipt], now: datetime) -> bool:
    """Insert a row for each receipt; if one of them is known nothing is done."""
    # Sorted, so that two processes take the locks of rows in the same order.
    rows = sorted((_row(receipt, now) for receipt in receipts), key=_sop_of)
    # By the driver itself: what SQLAlchemy does for each value takes longer than the insertion.
    time = for_driver(database, now)
    values = [tuple(time if row[name] is now else row[name] for name in _COLUMNS) for row in rows]
    if database.is_sqlite:
        with suppress(IntegrityError):
            database.execute_alone(_INSERT_SQLITE, (json.dumps(values),))
            return True
        return False
    with suppress(_KnownError), database.transaction() as connection:
        if connection.exec_driver_sql(_PLAIN_INSERT, values).rowcount != len(rows):
            raise _KnownError
        return True
    return False


def for_driver(database: Database, time: datetime) -> datetime | str:
    """Return a time as the driver takes it, and as it stands in the table."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") if database.is_sqlite else time


#: Source, path and content of a row.
_Place = tuple[str, str, str]


class _Changes:
    """Updates of rows that were there already."""

    def __init__(self, places: dict[str, _Place], now: datetime) -> None:
        self._places = places
        self._now = now
        self._again: list[dict[str, object]] = []
        self._replaced: list[dict[str, object]] = []

    def add(self, receipt: Receipt) -> RecordOutcome:
        uid = str(receipt.identity.sop_instance_uid)
        source, path, content = self._places.get(uid, ("", "", WHOLE))
        if source != STORE and (receipt.conflict or not source):
            return RecordOutcome(Recorded.UNKNOWN, receipt.path)
        fuller = content == HEADERS and receipt.content == WHOLE and not receipt.conflict
        if source != STORE or receipt.replace or (fuller and path == receipt.path):
            row = _row(receipt, self._now)
            self._replaced.append({f"new_{name}": value for name, value in row.items()})
            self._places[uid] = (STORE, receipt.path, receipt.content)
            return RecordOutcome(Recorded.NEW, receipt.path)
        if path != receipt.path:
            return RecordOutcome(Recorded.ELSEWHERE, path)
        if not receipt.found:
            self._again.append(
                {
                    "new_sop_instance_uid": uid,
                    "more_conflicts": int(receipt.conflict),
                    "sender": receipt.calling_ae_title,
                }
            )
        return RecordOutcome(Recorded.AGAIN, path)

    def write(self, connection: Connection) -> None:
        renewed: dict[str, object] = {"last_received_at": self._now, "announced_at": None}
        key = _sop == bindparam("new_sop_instance_uid")
        if self._replaced:
            kept = {"sop_instance_uid", "received_at", "conflicts", "received_count", *renewed}
            names = [column.name for column in _TABLE.columns if column.name not in kept]
            count = _TABLE.c.received_count + bindparam("new_received_count")
            values = {name: bindparam(f"new_{name}") for name in names} | renewed | {"received_count": count}
            connection.execute(update(_TABLE).where(key).values(values), self._replaced)
        if self._again:
            # What was found on disk has no sender until its receipt comes.
            sender = case(
                (_TABLE.c.calling_ae_title == "", bindparam("sender")), else_=_TABLE.c.calling_ae_title
            )
            values = {
                **renewed,
                "conflicts": _TABLE.c.conflicts + bindparam("more_conflicts"),
                "received_count": _TABLE.c.received_count + 1,
                "calling_ae_title": sender,
            }
            connection.execute(update(_TABLE).where(key).values(values), self._again)


def _row(receipt: Receipt, now: datetime) -> dict[str, object]:
    identity = receipt.identity
    return {
        "sop_instance_uid": str(identity.sop_instance_uid),
        "series_instance_uid": str(identity.series_instance_uid),
        "study_instance_uid": str(identity.study_instance_uid),
        "sop_class_uid": str(identity.sop_class_uid),
        "transfer_syntax_uid": receipt.transfer_syntax_uid,
        "source": STORE,
        "path": receipt.path,
        "size_bytes": receipt.size_bytes,
        "sha256": receipt.sha256,
        "calling_ae_title": receipt.calling_ae_title,
        "received_at": now,
        "last_received_at": now,
        "received_count": 0 if receipt.found else 1,
        "conflicts": 0,
        "announced_at": None,
        "content": receipt.content,
    }


def _sop_of(row: dict[str, object]) -> str:
    return str(row["sop_instance_uid"])


def _insert(connection: Connection, rows: list[dict[str, object]]) -> set[str]:
    """Insert the rows that are not there and return their keys."""
    if not rows:
        return set()
    # The rows as parameters, not as values: the compiled statement is used again whatever their number.
    inserted = connection.execute(_insert_statement(connection.dialect.name), rows)
    return set(inserted.scalars())


def _places(connection: Connection, sop_instance_uids: Sequence[str]) -> dict[str, _Place]:
    if not sop_instance_uids:
        return {}
    columns = (_sop, _TABLE.c.source, _TABLE.c.path, _TABLE.c.content)
    wanted = select(*columns).where(_sop.in_(sop_instance_uids)).order_by(_sop)
    # Locked, so that what is decided here still holds when it is written (SQLite has one writer anyway).
    return {
        uid: (source, path, content)
        for uid, source, path, content in connection.execute(wanted.with_for_update())
    }


def known_paths(database: Database, sop_instance_uids: Sequence[str]) -> dict[str, str]:
    """Return the paths under which objects of ours are known, by SOP Instance UID.

    Raises:
        DatabaseAwayError: the database cannot be reached.
    """
    known = select(_sop, _TABLE.c.path).where(_sop.in_(sop_instance_uids), _TABLE.c.source == STORE)
    with database.read() as session:
        return {row.sop_instance_uid: row.path for row in session.execute(known)}


def rows_after(database: Database, sop_instance_uid: str, limit: int) -> list[ObjectRow]:
    """Return objects of ours in the order of their UIDs, those after the given one.

    Raises:
        DatabaseAwayError: the database cannot be reached.
    """
    columns = (_sop, _TABLE.c.path, _TABLE.c.last_received_at)
    wanted = select(*columns).where(_TABLE.c.source == STORE, _sop > sop_instance_uid)
    with database.read() as session:
        return [ObjectRow(*row) for row in session.execute(wanted.order_by(_sop).limit(limit))]


def remove(database: Database, rows: Sequence[ObjectRow]) -> int:
    """Remove rows whose object was not received again since they were read; returns how many.

    Raises:
        DatabaseAwayError: nothing was removed.
    """
    removed = 0
    with database.transaction() as connection:
        for row in rows:
            gone = delete(_TABLE).where(
                _sop == row.sop_instance_uid,
                _TABLE.c.source == STORE,
                _TABLE.c.last_received_at == row.last_received_at,
            )
            removed += connection.execute(gone).rowcount
    return removed


def register(database: Database, objects: Sequence[ObjectReference], now: datetime) -> None:
    """Make objects of another store known; objects of ours stay as they are.

    Raises:
        DatabaseAwayError: nothing was recorded.
    """
    rows = [
        {
            "sop_instance_uid": reference.sop_instance_uid,
            "series_instance_uid": reference.series_instance_uid,
            "study_instance_uid": reference.study_instance_uid,
            "sop_class_uid": reference.sop_class_uid or "",
            "transfer_syntax_uid": "",
            "source": REGISTERED,
            "path": "",
            "size_bytes": 0,
            "sha256": "",
            "calling_ae_title": "",
            "received_at": now,
            "last_received_at": now,
            "received_count": 1,
            "conflicts": 0,
            "announced_at": now,
            "content": WHOLE,
        }
        for reference in {reference.sop_instance_uid: reference for reference in objects}.values()
    ]
    rows.sort(key=_sop_of)
    with database.transaction() as connection:
        for start in range(0, len(rows), _REGISTERED_AT_ONCE):
            _register(connection, rows[start : start + _REGISTERED_AT_ONCE], now)


#: Rows of one INSERT: both databases bound the parameters of a statement.
_REGISTERED_AT_ONCE = 200


def _register(connection: Connection, rows: list[dict[str, object]], now: datetime) -> None:
    inserted = _insert(connection, rows)
    again = [str(row["sop_instance_uid"]) for row in rows if row["sop_instance_uid"] not in inserted]
    counted = {"received_count": _TABLE.c.received_count + 1, "last_received_at": now}
    connection.execute(update(_TABLE).where(_sop.in_(again), _TABLE.c.source == REGISTERED).values(counted))
