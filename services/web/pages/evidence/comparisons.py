"""Evidence → Compare: a node against the store or a second node, and a button that gets what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from services.web.commands.publish import publish_command
from services.web.components import components
from services.web.language import gettext, lazy_gettext, ngettext
from services.web.security.background import background
from services.web.security.sessions import IMPORTERS, audit, me, requires
from shared.comparisons import ComparisonInput, order_comparison, save_comparison
from shared.contract.criteria import CODES
from shared.contract.envelope import new_id, valid_id
from shared.contract.messages import RunRetrieve
from shared.database.models import Comparison, Query
from shared.errors import InvalidInputError
from shared.evidence.comparison import ComparisonStatus
from shared.nodes.nodes import list_nodes
from shared.reading.evidence.comparison import (
    Reading,
    comparison_json,
    csv_of,
    list_comparisons,
    read_comparison,
)

blueprint = Blueprint("comparisons", __name__, url_prefix="/comparisons")

#: Comparisons of the list, and differences of a page; the CSV has all.
LISTED, SHOWN = 50, 200
#: Seconds between two looks at a comparison whose queries run.
POLL_S = 3
#: Studies of one retrieve, as its command takes them.
RETRIEVED_MAX = 10_000
_FIELDS = ("node", "other", "store", "date_from", "date_until")

OUTCOMES = {
    ComparisonStatus.WAITING: ("info", lazy_gettext("The queries have not ended yet.")),
    ComparisonStatus.INCOMPLETE: (
        "warning",
        lazy_gettext(
            "Not comparable in full: a side is not complete. What is not listed is not proven to be equal."
        ),
    ),
    ComparisonStatus.NOTHING_MATCHED: (
        "info",
        lazy_gettext("Nothing matched: neither side has such a study."),
    ),
    ComparisonStatus.NOTHING_DIFFERS: (
        "success",
        lazy_gettext("Nothing differs: both sides have the same dose objects."),
    ),
    ComparisonStatus.DIFFERENT: ("warning", lazy_gettext("The sides differ.")),
}


@blueprint.get("")
def listing() -> ResponseReturnValue:
    """List comparisons, with the form of a new one for those who may query."""
    return _listing({"date_from": components().today().isoformat()}, None)


def _listing(values: dict[str, str], error: InvalidInputError | None) -> str:
    with components().database.read() as session:
        rows = [comparison_json(reading, 0) for reading in list_comparisons(session, LISTED)]
        return render_template(
            "evidence/comparisons.html",
            comparisons=rows,
            remotes=list_nodes(session, "remote"),
            types=[name for name in CODES if name != "SR"],
            values=values,
            ticked=request.form.getlist("types") or ["CT"],
            error=error,
        )


@blueprint.post("")
@requires(*IMPORTERS)
def create() -> ResponseReturnValue:
    """Begin a comparison."""
    values = {name: request.form.get(name, "").strip()[:128] for name in _FIELDS}
    comparison_id = new_id()
    try:
        given = ComparisonInput.model_validate(values | {"types": request.form.getlist("types")[:16]})
        with components().database.read() as session:
            settings, now = components().settings, components().clock()
            order = order_comparison(session, given, comparison_id, me().name, settings, now)
    except (InvalidInputError, ValueError) as error:
        found = error if isinstance(error, InvalidInputError) else InvalidInputError("types", "are none")
        return _listing(values, found), HTTPStatus.UNPROCESSABLE_ENTITY
    for job_id, command in order.commands:
        if publish_command(command, "query", job_id, job_id=job_id, remote=command.remote) is None:
            return _listing(values, None), HTTPStatus.SERVICE_UNAVAILABLE
    with components().database.write() as session:
        save_comparison(session, order.row)
    audit("comparison", comparison=comparison_id)
    return redirect(url_for("comparisons.detail", comparison_id=comparison_id))


@blueprint.get("/<comparison_id>")
def detail(comparison_id: str) -> ResponseReturnValue:
    """Show a comparison."""
    return render_template("evidence/comparison.html", **_shown(comparison_id))


@blueprint.get("/<comparison_id>/result")
@background
def result(comparison_id: str) -> ResponseReturnValue:
    """Return the result for an open page."""
    return render_template("evidence/_comparison.html", **_shown(comparison_id))


def _shown(comparison_id: str) -> dict[str, object]:
    with components().database.read() as session:
        reading = _reading(session, comparison_id)
    shown = comparison_json(reading, SHOWN)
    queries = [query for query in (shown["left"]["query"], shown["right"]["query"]) if query]
    return {
        "comparison": shown,
        "outcome": OUTCOMES[ComparisonStatus(shown["status"])],
        "total": len(reading.compared.differences) if reading.compared else 0,
        "missing": len(reading.missing_studies),
        "follow": queries if reading.compared is None else [],
        "every_s": POLL_S if reading.compared is None else 3600,
    }


@blueprint.get("/<comparison_id>/differences.csv")
def differences(comparison_id: str) -> ResponseReturnValue:
    """Send all differences as CSV."""
    with components().database.read() as session:
        reading = _reading(session, comparison_id)

    def lines() -> Iterator[str]:
        yield from csv_of(reading)

    headers = {"Content-Disposition": f'attachment; filename="doseqr-{comparison_id[:8]}.csv"'}
    return Response(lines(), mimetype="text/csv", headers=headers)


@blueprint.post("/<comparison_id>/retrieve")
@requires(*IMPORTERS)
def retrieve(comparison_id: str) -> ResponseReturnValue:
    """Publish the retrieve of the studies of which the right side lacks something."""
    with components().database.read() as session:
        reading = _reading(session, comparison_id)
        query = session.get(Query, reading.comparison.left_query)
    uids = reading.missing_studies[:RETRIEVED_MAX]
    if query is None or not uids:
        flash(gettext("Nothing is missing."), "info")
        return redirect(url_for("comparisons.detail", comparison_id=comparison_id))
    retrieve_id = new_id()
    command = RunRetrieve(query_id=query.id, study_instance_uids=uids, requested_by=me().name)
    published = publish_command(command, "retrieve", retrieve_id, job_id=retrieve_id, query_id=query.id)
    if published is None:
        return redirect(url_for("comparisons.detail", comparison_id=comparison_id))
    flash(
        ngettext(
            "The retrieve of %(number)s study is requested; it is shown with its query.",
            "The retrieve of %(number)s studies is requested; it is shown with its query.",
            len(uids),
            number=len(uids),
        ),
        "info",
    )
    return redirect(url_for("jobs.detail", job_id=query.id))


def _reading(session: Session, comparison_id: str) -> Reading:
    row = session.get(Comparison, comparison_id) if valid_id(comparison_id) else None
    if row is None:
        abort(HTTPStatus.NOT_FOUND)
    return read_comparison(session, row)
