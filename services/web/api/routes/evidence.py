"""What the ledger proves over all jobs: the completeness calendar."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from services.web.api.operations import OperationTable
from services.web.api.routes.jobs import ShortText
from services.web.components import components
from shared.contract.criteria import CODES
from shared.evidence.results import CalendarResult
from shared.nodes.nodes import find_node
from shared.reading.evidence.calendar import calendar_json, parse_month, parse_types

table = OperationTable("evidence")


class CalendarQuery(BaseModel):
    """Which node, types and month."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: ShortText = Field(description="Id or name of a remote node.")
    type: list[ShortText] = Field(
        [], max_length=len(CODES), description="Modality types; may be repeated; none: all but SR."
    )
    month: ShortText = Field("", description="The month, as yyyy-mm; left out: this one.")


@table.add("GET", "/calendar", scope="read", query=CalendarQuery, result=CalendarResult)
def read_calendar(query: CalendarQuery) -> object:
    """Return the completeness calendar of a node for a month.

    What a day is, is what the ledger proves over all jobs. Days are those of the site.
    """
    types = parse_types(query.type)
    month = parse_month(query.month, components().today())
    with components().database.read() as session:
        node = find_node(session, query.node, "remote", "node")
        return calendar_json(session, node, types, month, components().settings, components().clock())
