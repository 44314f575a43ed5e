"""Comparisons of a node with the store or a second node."""

from __future__ import annotations

from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field

from services.web.api.authentication import identity
from services.web.api.commands import audit, publish_all
from services.web.api.idempotency import command_id
from services.web.api.operations import OperationResult, OperationTable
from services.web.api.problems import PREFIX, not_found
from services.web.components import components
from shared.comparisons import ComparisonInput, order_comparison, save_comparison
from shared.contract.envelope import valid_id
from shared.database.models import Comparison
from shared.evidence.results import ComparisonResult
from shared.reading.evidence.comparison import (
    SHOWN_MAX,
    comparison_json,
    list_comparisons,
    read_comparison,
)

table = OperationTable("evidence")

#: Comparisons of a list.
LISTED_MAX = 100


class LimitQuery(BaseModel):
    """How many differences."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(SHOWN_MAX, ge=0, le=SHOWN_MAX, description="Differences, at most.")


@table.add(
    "POST",
    "/comparisons",
    scope="import",
    body=ComparisonInput,
    result=ComparisonResult,
    status=HTTPStatus.ACCEPTED,
)
def create_comparison(body: BaseModel) -> object:
    """Compare a node with what is stored, or with a second node, both ways.

    Each node is searched by an ordinary query; with `queries`, those that there are serve. Read the address
    in `Location` until the status is no longer `waiting`.
    """
    given = ComparisonInput.model_validate(body.model_dump())
    owner, now = identity().owner, components().clock()
    with components().database.read() as session:
        order = order_comparison(session, given, command_id(), owner, components().settings, now)
    publish_all(order.commands, needs=("query",) if order.commands else ())
    with components().database.write() as session:
        save_comparison(session, order.row)
    audit("comparison", comparison=order.row.id, left=order.row.left_query, right=order.row.right_query)
    with components().database.read() as session:
        shown = comparison_json(read_comparison(session, order.row), 0)
    return OperationResult(shown, location=f"{PREFIX}/comparisons/{order.row.id}")


@table.add("GET", "/comparisons", scope="read", result=list[ComparisonResult])
def list_all_comparisons() -> object:
    """List the last comparisons, the newest first, each without its differences."""
    with components().database.read() as session:
        return [comparison_json(reading, 0) for reading in list_comparisons(session, LISTED_MAX)]


@table.add("GET", "/comparisons/{comparison}", scope="read", query=LimitQuery, result=ComparisonResult)
def read_one_comparison(comparison: str, query: LimitQuery) -> object:
    """Return a comparison; it is computed from what the ledger holds now."""
    with components().database.read() as session:
        row = session.get(Comparison, comparison) if valid_id(comparison) else None
        if row is None:
            raise not_found("There is no comparison with this id.")
        return comparison_json(read_comparison(session, row), query.limit)
