"""Objects that wait to be announced; each function is one transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, bindparam, select, text

from services.store.index.known_objects import Receipt, for_driver
from shared.contract.messages import StoredObject as StoredObjectMessage
from shared.database.models.store import STORE, StoredObject
from shared.database.session import Database

_TABLE = cast("Table", StoredObject.__table__)
_sop = _TABLE.c.sop_instance_uid
_now = bindparam("now", type_=_TABLE.c.announced_at.type)
#: One statement with few parameters, however many objects: so it takes the interpreter little time.
_MARK_SQLITE = text(
    "UPDATE stored_objects SET announced_at = :now FROM json_each(:pairs) AS pair"
    " WHERE sop_instance_uid = json_extract(pair.value, '$[0]')"
    " AND last_received_at = json_extract(pair.value, '$[1]')"
).bindparams(_now)
_MARK = text(
    "UPDATE stored_objects SET announced_at = :now"
    " FROM unnest(CAST(:uids AS text[]), CAST(:times AS timestamptz[])) AS pair(uid, received)"
    " WHERE sop_instance_uid = pair.uid AND last_received_at = pair.received"
).bindparams(_now)


@dataclass(frozen=True, slots=True)
class Unannounced:
    """A row that has not been announced since it was last received."""

    message: StoredObjectMessage
    last_received_at: datetime


def to_announce(receipt: Receipt, received_at: datetime) -> Unannounced:
    """Return what is to be announced of a receipt that made a row."""
    identity = receipt.identity
    message = StoredObjectMessage.model_construct(
        study_instance_uid=identity.study_instance_uid,
        series_instance_uid=identity.series_instance_uid,
        sop_instance_uid=identity.sop_instance_uid,
        sop_class_uid=identity.sop_class_uid,
        transfer_syntax_uid=receipt.transfer_syntax_uid,
        path=receipt.path,
        size_bytes=receipt.size_bytes,
        content=receipt.content,
    )
    return Unannounced(message, received_at)


def unannounced(
    database: Database,
    *,
    limit: int,
    among: Sequence[str] | None = None,
    not_within: tuple[datetime, datetime] | None = None,
) -> list[Unannounced]:
    """Return objects of ours that wait to be announced: of these UIDs, or last received outside of a time.

    Raises:
        DatabaseAwayError: the database cannot be reached.
    """
    columns = (*(_TABLE.c[name] for name in StoredObjectMessage.model_fields), _TABLE.c.last_received_at)
    wanted = select(*columns).where(_TABLE.c.announced_at.is_(None), _TABLE.c.source == STORE)
    if among is not None:
        wanted = wanted.where(_sop.in_(among))
    if not_within is not None:
        wanted = wanted.where(~_TABLE.c.last_received_at.between(*not_within))
    with database.read_outside() as session:
        rows = session.execute(wanted.order_by(_TABLE.c.received_at).limit(limit)).mappings().all()
    return [
        Unannounced(
            StoredObjectMessage(**{name: value for name, value in row.items() if name != "last_received_at"}),
            row["last_received_at"],
        )
        for row in rows
    ]


def mark_announced(database: Database, announced: Sequence[Unannounced], now: datetime) -> None:
    """Remember that these were announced, unless they were received again meanwhile.

    Raises:
        DatabaseAwayError: nothing was remembered.
    """
    pairs = sorted(
        (row.message.sop_instance_uid, for_driver(database, row.last_received_at)) for row in announced
    )
    with database.transaction() as connection:
        if database.is_sqlite:
            connection.execute(_MARK_SQLITE, {"now": now, "pairs": json.dumps(pairs)})
            return
        uids, times = zip(*pairs, strict=True)
        # In their order, so that two processes do not lock each other out.
        connection.execute(select(_sop).where(_sop.in_(uids)).order_by(_sop).with_for_update())
        connection.execute(_MARK, {"now": now, "uids": list(uids), "times": list(times)})
