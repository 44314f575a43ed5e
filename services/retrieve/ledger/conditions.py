"""Conditions and helpers that all statements on the retrieve tables share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import ColumnElement, CursorResult, UpdateBase, and_, case, func, or_, select, update
from sqlalchemy.orm import Session

from services.retrieve.planning.moves import SeriesPart
from services.retrieve.planning.payloads import SeriesKey
from shared.database.models import Retrieve, RetrieveObject

#: States of objects that are still to come.
OPEN = ("expected", "asked")
#: States of objects that were given up.
LOST = ("failed", "missing")

#: UIDs of one statement: both databases bound its parameters.
UIDS_AT_ONCE = 500
#: Series of one statement: each is a branch of its condition, which both databases find by the primary key.
SERIES_AT_ONCE = 50


def series_rows(job_id: str, key: SeriesKey) -> ColumnElement[bool]:
    """Return the condition that a row belongs to this series."""
    return and_(
        RetrieveObject.job_id == job_id,
        RetrieveObject.study_instance_uid == key[0],
        RetrieveObject.series_instance_uid == key[1],
    )


def is_open() -> ColumnElement[bool]:
    """Return the condition that a row is still to come."""
    return RetrieveObject.state.in_(OPEN)


def rows_of(job_id: str, parts: Iterable[SeriesPart]) -> Iterator[ColumnElement[bool]]:
    """Yield conditions that together name the rows of these parts."""
    chosen: list[ColumnElement[bool]] = []
    uids = 0
    for part in parts:
        names = part.sop_instance_uids or ("",)
        for start in range(0, len(names), UIDS_AT_ONCE):
            chunk = names[start : start + UIDS_AT_ONCE]
            if chosen and (len(chosen) >= SERIES_AT_ONCE or uids + len(chunk) > UIDS_AT_ONCE):
                yield or_(*chosen)
                chosen, uids = [], 0
            chosen.append(and_(series_rows(job_id, part.key), RetrieveObject.sop_instance_uid.in_(chunk)))
            uids += len(chunk)
    if chosen:
        yield or_(*chosen)


def rows_of_series(job_id: str, keys: Sequence[SeriesKey]) -> Iterator[ColumnElement[bool]]:
    """Yield conditions that together name all rows of these series."""
    for start in range(0, len(keys), SERIES_AT_ONCE):
        yield or_(*(series_rows(job_id, key) for key in keys[start : start + SERIES_AT_ONCE]))


def weight_of_row() -> ColumnElement[int]:
    """Return how many objects a row stands for."""
    unnamed = func.coalesce(func.nullif(RetrieveObject.announced, 0), 1)
    return case((RetrieveObject.sop_instance_uid == "", unnamed), else_=1)


def row_key(job_id: str, key: SeriesKey) -> dict[str, str]:
    """Return the columns that rows of one series share."""
    return {"job_id": job_id, "study_instance_uid": key[0], "series_instance_uid": key[1]}


def lock(session: Session, job_id: str) -> None:
    """Lock a retrieve; every transaction locks it before its objects."""
    session.execute(select(Retrieve.id).where(Retrieve.id == job_id).with_for_update())


def add_counts(session: Session, job_id: str, **deltas: int) -> None:
    """Add to the counts of a retrieve; what is requested no more stays visible as such."""
    deltas["fewer_than_announced"] = max(0, -deltas.get("asked", 0))
    values = {name: getattr(Retrieve, name) + delta for name, delta in deltas.items() if delta}
    if values:
        execute(session, update(Retrieve).where(Retrieve.id == job_id).values(values))


def recount(session: Session, job_id: str) -> None:
    """Set the counts of a retrieve from its rows."""
    arrived = case((RetrieveObject.state == "arrived", weight_of_row()), else_=0)
    row = session.execute(
        select(func.coalesce(func.sum(weight_of_row()), 0), func.coalesce(func.sum(arrived), 0)).where(
            RetrieveObject.job_id == job_id
        )
    ).one()
    asked, here = int(row[0]), int(row[1])
    fewer = case((Retrieve.asked > asked, Retrieve.asked - asked), else_=0)
    values = {
        "asked": asked,
        "arrived": here,
        "fewer_than_announced": Retrieve.fewer_than_announced + fewer,
    }
    execute(session, update(Retrieve).where(Retrieve.id == job_id).values(values))


def execute(session: Session, statement: UpdateBase) -> int:
    """Execute a bulk change without synchronizing objects of the session; return how many rows it changed."""
    result = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return result.rowcount
