"""What somebody sees who may use the nodes of some groups alone: a filter of every statement of a session.

It is in one place, below all that reads: who writes another query need not think of it, and cannot forget it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

from sqlalchemy import ColumnElement, and_, event, exists, or_, select
from sqlalchemy.orm import InstrumentedAttribute, LoaderCriteriaOption, ORMExecuteState, with_loader_criteria

from shared.database.models import (
    AuditEntry,
    Comparison,
    LongList,
    Node,
    NodeCheck,
    NodeProfile,
    Query,
    Retrieve,
    Schedule,
)
from shared.database.models.base import Base
from shared.database.session import Session

_NODES, _QUERIES = Node.__table__.alias("scope_nodes"), Query.__table__.alias("scope_queries")


@dataclass(frozen=True, slots=True)
class NodeScope:
    """The groups of nodes that somebody may use, and who it is; a store node in no group is for all.

    Where objects are sent belongs to the house. A remote node in no group is for those alone who may use all.
    """

    groups: frozenset[str]
    person: str

    def restrict(self, session: Session) -> None:
        """Let a session read and change only what is of these nodes; the rest is as if it were not there."""
        event.listen(session, "do_orm_execute", partial(_filter, _options(self)))


#: Of somebody who has not logged in.
NOTHING = NodeScope(frozenset(), "")


# Each request of a page opens some sessions, mostly for the same few people.
@lru_cache(maxsize=64)
def _options(scope: NodeScope) -> tuple[LoaderCriteriaOption, ...]:
    own = _own(scope.groups)
    remotes = select(_NODES.c.id).where(own)
    criteria: list[tuple[type[Base], ColumnElement[bool]]] = [
        (Node, Node.id.in_(remotes)),
        *((table, table.remote_id.in_(remotes)) for table in (Query, Retrieve, Schedule, LongList)),
        *((table, table.node_id.in_(remotes)) for table in (NodeCheck, NodeProfile)),
        (Comparison, _of_comparison(own)),
        # The page reads there which jobs are about to begin.
        (AuditEntry, AuditEntry.user == scope.person),
    ]
    return tuple(
        with_loader_criteria(table, condition, include_aliases=True) for table, condition in criteria
    )


def _own(groups: frozenset[str]) -> ColumnElement[bool]:
    columns = _NODES.c
    shared_store = and_(columns.kind == "store", columns.node_group == "")
    return or_(columns.node_group.in_(sorted(groups - {""})), shared_store)


def _of_comparison(own: ColumnElement[bool]) -> ColumnElement[bool]:
    sides = ((Comparison.left_query, Comparison.left_name), (Comparison.right_query, Comparison.right_name))
    left, right = (_of_side(own, query_id, name) for query_id, name in sides)
    return and_(left, or_(Comparison.right_query.is_(None), right))


def _of_side(
    own: ColumnElement[bool],
    query_id: InstrumentedAttribute[str] | InstrumentedAttribute[str | None],
    name: InstrumentedAttribute[str],
) -> ColumnElement[bool]:
    """Return whether a side of a comparison is of these nodes: by its query, and by name until it begins."""
    queries, nodes = _QUERIES.c, _NODES.c
    begun = exists().where(queries.id == query_id)
    by_query = exists().where(queries.id == query_id, nodes.id == queries.remote_id, own)
    by_name = exists().where(nodes.name == name, own)
    return or_(by_query, and_(~begun, by_name))


def _filter(options: tuple[LoaderCriteriaOption, ...], state: ORMExecuteState) -> None:
    if (state.is_select or state.is_update or state.is_delete) and not state.is_column_load:
        state.statement = state.statement.options(*options)
