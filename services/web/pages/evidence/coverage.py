"""Evidence → Coverage by station: who sends dose reports, week by week, and the studies behind a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from services.web.components import components
from services.web.views.coverage_table import SOURCES, coverage_table
from services.web.views.criteria_text import named_problem
from shared.contract.criteria_fields import parse_date
from shared.database.models import Node
from shared.errors import InvalidInputError
from shared.nodes.nodes import find_node, list_nodes
from shared.reading.evidence.calendar import parse_types
from shared.reading.evidence.coverage import (
    StationFilter,
    StudyDays,
    coverage_json,
    parse_period,
    station_studies,
)

blueprint = Blueprint("coverage", __name__, url_prefix="/coverage")

#: Studies that the page lists; the API has all.
STUDIES_SHOWN = 500


@dataclass(frozen=True, slots=True)
class _Chosen:
    node: Node
    period: StudyDays


@blueprint.get("")
def show() -> ResponseReturnValue:
    """Show the stations of a node; the address is the state of the page."""
    with components().database.read() as session:
        nodes = list_nodes(session, "remote")
        if not nodes:
            return render_template("evidence/coverage.html", nodes=[])
        try:
            chosen = _chosen(session, nodes)
            types = parse_types(request.args.getlist("type"))
        except InvalidInputError as error:
            flash(named_problem(error), "warning")
            return redirect(url_for("coverage.show"))
        last_studies = components().settings.coverage_last_studies
        shown = coverage_json(session, chosen.node, types, chosen.period, last_studies, components().clock())
    return render_template(
        "evidence/coverage.html",
        nodes=nodes,
        node=chosen.node,
        shown=shown,
        table=coverage_table(shown),
        sources=SOURCES,
        last_studies=last_studies,
    )


@blueprint.get("/studies")
def studies() -> ResponseReturnValue:
    """List the studies behind a number."""
    wanted = StationFilter(
        request.args.get("station"), request.args.get("type") or None, request.args.get("source") or None
    )
    with components().database.read() as session:
        nodes = list_nodes(session, "remote")
        try:
            chosen = _chosen(session, nodes)
        except InvalidInputError as error:
            flash(named_problem(error), "warning")
            return redirect(url_for("coverage.show"))
        found, number = station_studies(session, chosen.node, chosen.period, wanted, STUDIES_SHOWN)
    return render_template(
        "evidence/studies.html",
        node=chosen.node,
        period=chosen.period,
        wanted=wanted,
        studies=found,
        number=number,
        sources=SOURCES,
    )


def _chosen(session: Session, nodes: Sequence[Node]) -> _Chosen:
    """Return the node and days of the address.

    Raises:
        InvalidInputError: there is no such node, or these are no days; names the field.
    """
    wanted = request.args.get("node", "")
    if not nodes:
        raise InvalidInputError("node", "does not exist yet")
    node = find_node(session, wanted, "remote", "node") if wanted else nodes[0]
    days = []
    for name in ("from", "until"):
        text = request.args.get(name, "").strip()
        try:
            days.append(parse_date(text) if text else None)
        except ValueError as error:
            raise InvalidInputError(name, str(error)) from None
    return _Chosen(node, parse_period(days[0], days[1], components().today()))
