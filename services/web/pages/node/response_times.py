"""How fast a PACS responded over all its queries, and how many requests it got each day."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue

from services.web.components import components
from services.web.security.sessions import IMPORTERS, requires
from services.web.views.job.charts import HEIGHT, WIDTH, response_times
from services.web.views.node.pace_chart import pace_chart
from shared.database.models import Node
from shared.reading.lists.response_times import MAX_FINDS, node_pace

blueprint = Blueprint("response_times", __name__, url_prefix="/nodes/<int:node_id>/response-times")


@blueprint.get("")
@requires(*IMPORTERS)
def show(node_id: int) -> ResponseReturnValue:
    """Show the charts of a node."""
    parts = components()
    with parts.database.read() as session:
        node = session.get(Node, node_id)
        if node is None or node.removed_at is not None or node.kind != "remote":
            abort(HTTPStatus.NOT_FOUND)
        pace = node_pace(session, node_id, parts.clock())
    return render_template(
        "nodes/response_times.html",
        node=node,
        chart=pace_chart(pace, parts.settings.day_of),
        levels=response_times((find.level, find.duration_ms) for find in pace.finds),
        number=len(pace.finds),
        most=MAX_FINDS,
        width=WIDTH,
        height=HEIGHT,
    )
