"""Pages of a sorted list that begin after a key or end before it, so that each costs the same.

An offset would read every row before the page; a key is found by the index that the list is sorted by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Select, SQLColumnExpression, tuple_
from sqlalchemy.orm import Session

RowT = TypeVar("RowT")

KeyValue = object
Columns = Sequence[SQLColumnExpression[object]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of a list lies: at the beginning, after a key, before one, or at the end."""

    after: tuple[KeyValue, ...] | None = None
    before: tuple[KeyValue, ...] | None = None
    last: bool = False

    @property
    def backwards(self) -> bool:
        """Whether the page is read from its end."""
        return self.after is None and (self.before is not None or self.last)

    @property
    def is_first(self) -> bool:
        """Whether it is the beginning of the list."""
        return self.after is None and self.before is None and not self.last


@dataclass(frozen=True, slots=True)
class ListPage(Generic[RowT]):
    """Some rows of a list, and whether there are others before and after them."""

    rows: list[RowT]
    has_previous: bool
    has_next: bool


def placed(
    statement: Select[RowT], columns: Columns, place: Place, limit: int, *, descending: bool
) -> Select[RowT]:
    """Return the statement of a page, one row more than it shows; a page read backwards is reversed.

    `columns` end with one that is unique, and none of them is ever null.
    """
    down = descending is not place.backwards
    key = place.before if place.backwards else place.after
    if key is not None:
        statement = statement.where(tuple_(*columns) < key if down else tuple_(*columns) > key)
    return statement.order_by(*(column.desc() if down else column.asc() for column in columns)).limit(
        limit + 1
    )


def list_page(rows: Sequence[RowT], place: Place, limit: int) -> ListPage[RowT]:
    """Return the page of the rows of a `placed` statement."""
    more, shown = len(rows) > limit, list(rows[:limit])
    if place.backwards:
        return ListPage(shown[::-1], has_previous=more, has_next=place.before is not None)
    return ListPage(shown, has_previous=place.after is not None, has_next=more)


def merged(
    parts: Sequence[Sequence[RowT]],
    key: Callable[[RowT], tuple[KeyValue, ...]],
    place: Place,
    *,
    descending: bool,
) -> list[RowT]:
    """Return the rows of several `placed` statements in the order in which one would have returned them."""
    rows = [row for part in parts for row in part]
    rows.sort(key=key, reverse=descending is not place.backwards)
    return rows


def scalar_page(
    session: Session, statement: Select[RowT], columns: Columns, place: Place, limit: int, *, descending: bool
) -> ListPage[RowT]:
    """Read a page of entities, or of the first column of the statement."""
    rows = session.scalars(placed(statement, columns, place, limit, descending=descending)).all()
    return list_page(rows, place, limit)
