"""Evidence → Reconcile a list: an upload from the RIS, and what is known of each line. Nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from services.web.components import components
from services.web.language import gettext, lazy_gettext
from services.web.security.sessions import audit
from services.web.views.criteria_text import named_problem
from shared.database.models import Node
from shared.errors import InvalidInputError
from shared.evidence.reconciliation import Detail, LineState
from shared.evidence.results import ReconciliationResult
from shared.evidence.ris_list import read_list
from shared.nodes.nodes import find_node, list_nodes
from shared.reading.evidence.reconciliation import csv_of, reconcile

blueprint = Blueprint("reconciliations", __name__, url_prefix="/reconciliations")

#: Lines and errors that the page shows; the CSV has all.
LINES_SHOWN, ERRORS_SHOWN = 200, 50

STATES = {
    LineState.HAS_DOSE: lazy_gettext("Has dose"),
    LineState.NOT_RETRIEVED: lazy_gettext("Not retrieved yet"),
    LineState.NO_DOSE_OBJECT: lazy_gettext("No dose object"),
    LineState.NOT_REQUESTED: lazy_gettext("Not asked"),
    LineState.NOT_IN_PACS: lazy_gettext("Not in the PACS"),
}
DETAILS = {
    Detail.NAMED: lazy_gettext("the PACS was asked for it"),
    Detail.DAY_COMPLETE: lazy_gettext("its day is complete, and no study with a modality of dose has it"),
    Detail.NOT_SETTLED: lazy_gettext("found, but not decided"),
    Detail.OTHER_TYPE: lazy_gettext("found, and of no requested type"),
    Detail.DAY_NOT_COMPLETE: lazy_gettext("its day is not complete"),
    Detail.NO_ACCESSION_NUMBERS: lazy_gettext("the PACS returned no accession number of its day"),
}


@blueprint.get("")
def form() -> ResponseReturnValue:
    """Show the form."""
    with components().database.read() as session:
        return _page(list_nodes(session, "remote"))


@blueprint.post("")
def upload() -> ResponseReturnValue:
    """Show what is known of the lines of an uploaded list, or send it as CSV (`as=csv`)."""
    file = request.files.get("file")
    with components().database.read() as session:
        nodes = list_nodes(session, "remote")
        try:
            if file is None or not file.filename:
                return _page(nodes, error=gettext("Choose a file.")), HTTPStatus.UNPROCESSABLE_ENTITY
            node = find_node(session, request.form.get("node", "")[:128], "remote", "node")
            found = read_list(file.stream.read())
            settings, now = components().settings, components().clock()
            shown = reconcile(session, node, found, settings, now)
        except InvalidInputError as error:
            problem = named_problem(error)
            return _page(nodes, error=problem), HTTPStatus.UNPROCESSABLE_ENTITY
    audit("reconciliation", node_id=node.id, lines=len(shown["lines"]))
    if request.form.get("as") == "csv":
        headers = {"Content-Disposition": 'attachment; filename="doseqr-reconciliation.csv"'}
        return Response(csv_of(shown), mimetype="text/csv", headers=headers)
    return _page(nodes, shown=shown)


def _page(nodes: Sequence[Node], shown: ReconciliationResult | None = None, error: str = "") -> str:
    rest = [line for line in shown["lines"] if line["state"] != LineState.HAS_DOSE] if shown else []
    return render_template(
        "evidence/reconciliations.html",
        nodes=nodes,
        shown=shown,
        error=error,
        states=STATES,
        details=DETAILS,
        rest=rest[:LINES_SHOWN],
        number_of_rest=len(rest),
        errors=shown["errors"][:ERRORS_SHOWN] if shown else [],
    )
