"""Evidence → Calendar: which days of a node are proven, and a click that fills a hole."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from services.web.components import components
from services.web.views.calendar_table import STATES, month_table
from services.web.views.criteria_text import named_problem
from shared.errors import InvalidInputError
from shared.nodes.nodes import find_node, list_nodes
from shared.reading.evidence.calendar import calendar_json, parse_month, parse_types

blueprint = Blueprint("calendar", __name__, url_prefix="/calendar")


@blueprint.get("")
def show() -> ResponseReturnValue:
    """Show a month of a node; the address is the state of the page."""
    wanted = request.args.get("node", "")
    with components().database.read() as session:
        nodes = list_nodes(session, "remote")
        if not nodes:
            return render_template("evidence/calendar.html", nodes=[], shown=None)
        try:
            month = parse_month(request.args.get("month", ""), components().today())
            types = parse_types(request.args.getlist("type"))
            node = find_node(session, wanted, "remote", "node") if wanted else nodes[0]
        except InvalidInputError as error:
            flash(named_problem(error), "warning")
            return redirect(url_for("calendar.show"))
        settings, now = components().settings, components().clock()
        shown = calendar_json(session, node, types, month, settings, now)
    return render_template(
        "evidence/calendar.html",
        nodes=nodes,
        node=node,
        shown=shown,
        month=month_table(shown, month, components().today()),
        states=STATES,
        types=request.args.getlist("type"),
    )
