"""Orders comparisons: the queries of both sides, and the row that holds them together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.contract.criteria import Criteria, parse_criteria, window
from shared.contract.messages import RunQuery
from shared.database.models import Comparison, Node, Query
from shared.database.session import Session
from shared.errors import InvalidInputError
from shared.nodes.nodes import find_node, is_own_store, list_nodes
from shared.settings import Settings

#: The name of the side of what is stored.
STORE_NAME = "store"

NodeText = Annotated[str, StringConstraints(max_length=128)]
JobId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
DayText = Annotated[str, StringConstraints(max_length=32)]
TypeText = Annotated[str, StringConstraints(max_length=8)]


class ComparisonInput(BaseModel):
    """What to compare: a node with the store or a second node, or the results of queries that there are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: NodeText | int = Field("", description="The remote node: id or name.")
    other: NodeText | int = Field("", description="A second remote node; left out: what is stored.")
    store: NodeText | int = Field("", description="The store node of the queries; left out: DoseQR's own.")
    types: list[TypeText] = Field([], max_length=16, description="Modality types; empty: all but SR.")
    date_from: DayText = Field("", description="First study date, as yyyy-mm-dd.")
    date_until: DayText = Field("", description="Last study date, as yyyy-mm-dd.")
    queries: list[JobId] = Field(
        [], max_length=2, description="In place of all others: one query to compare with the store, or two."
    )


@dataclass(frozen=True, slots=True)
class ComparisonOrder:
    """A comparison that may be begun: its row, and the queries to publish by their ids."""

    row: Comparison
    commands: list[tuple[str, RunQuery]]


def order_comparison(
    session: Session,
    given: ComparisonInput,
    comparison_id: str,
    requested_by: str,
    settings: Settings,
    now: datetime,
) -> ComparisonOrder:
    """Return the order of a comparison; nothing is written.

    Raises:
        InvalidInputError: nodes, days or queries do not fit; names the field.
    """
    if given.queries:
        return ComparisonOrder(_of_queries(session, given, comparison_id, requested_by, now), [])
    left = find_node(session, given.node, "remote", "node")
    right = find_node(session, given.other, "remote", "other") if str(given.other).strip() else None
    if right is not None and right.id == left.id:
        raise InvalidInputError("other", "is the same node")
    store = _store(session, given, settings)
    criteria = _criteria(given, settings, now, ignore_known=right is None)
    nodes = [left] if right is None else [left, right]
    ids = [f"{comparison_id[:60]}-{number}" for number, _ in enumerate(nodes, 1)]
    row = Comparison(
        id=comparison_id,
        left_query=ids[0],
        right_query=ids[1] if right is not None else None,
        left_name=left.name,
        right_name=right.name if right is not None else STORE_NAME,
        requested_by=requested_by,
        requested_at=now,
    )
    commands = [
        (
            job_id,
            RunQuery(remote=node.id, store=store.id, criteria=criteria.to_json(), requested_by=requested_by),
        )
        for job_id, node in zip(ids, nodes, strict=True)
    ]
    return ComparisonOrder(row, commands)


def save_comparison(session: Session, row: Comparison) -> None:
    """Write a comparison, unless the same one is there."""
    if session.get(Comparison, row.id) is None:
        session.add(row)


def _store(session: Session, given: ComparisonInput, settings: Settings) -> Node:
    if str(given.store).strip():
        return find_node(session, given.store, "store", "store")
    stores = list_nodes(session, "store")
    own = next((node for node in stores if is_own_store(node, settings)), None)
    if own is None and not stores:
        raise InvalidInputError("store", "there is no store node yet")
    return own or stores[0]


def _criteria(given: ComparisonInput, settings: Settings, now: datetime, *, ignore_known: bool) -> Criteria:
    """Return the criteria of the queries; what is known counts as kept where two nodes are compared."""
    if not given.date_from.strip():
        raise InvalidInputError("date_from", "is needed: all days of an archive are not compared at once")
    criteria = parse_criteria(
        {
            "types": given.types or ["CT", "MG", "FL", "DX", "NM"],
            "date_from": given.date_from,
            "date_until": given.date_until.strip() or None,
            "ignore_known": ignore_known,
        }
    )
    window(criteria, settings.day_of(now))
    return criteria


def _of_queries(
    session: Session, given: ComparisonInput, comparison_id: str, requested_by: str, now: datetime
) -> Comparison:
    queries = [_query(session, query_id) for query_id in given.queries]
    if len(queries) > 1:
        _require_comparable(queries[0], queries[1])
    return Comparison(
        id=comparison_id,
        left_query=queries[0].id,
        right_query=queries[1].id if len(queries) > 1 else None,
        left_name=queries[0].remote_name,
        right_name=queries[1].remote_name if len(queries) > 1 else STORE_NAME,
        requested_by=requested_by,
        requested_at=now,
    )


def _query(session: Session, query_id: str) -> Query:
    query = session.get(Query, query_id)
    if query is None:
        raise InvalidInputError("queries", f"there is no query {query_id}")
    return query


def _require_comparable(left: Query, right: Query) -> None:
    """Refuse queries that would differ because they looked for different things."""
    first, second = parse_criteria(left.criteria), parse_criteria(right.criteria)
    names = [name for name, value in first.to_json().items() if second.to_json()[name] != value]
    if names:
        raise InvalidInputError("queries", f"have different criteria: {', '.join(names)}")
    if first.ignore_known:
        raise InvalidInputError("queries", "ignore what is known, so that they do not name all objects")
