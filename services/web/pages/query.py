"""Imports → Query remote server: node status at the top, the form at the left, live progress at the right."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from services.web.commands.pending import Order
from services.web.commands.publish import order
from services.web.components import parts
from services.web.forms.query import QueryForm, RequestedQuery, preview, read, values_of
from services.web.live.node_status import node_panel
from services.web.security.sessions import IMPORTERS, background, me, requires
from services.web.views.job_panel import Panel, panel
from shared.contract.envelope import new_id, valid_id
from shared.contract.messages import RunQuery
from shared.database.models import Query, Retrieve
from shared.nodes.nodes import list_nodes

blueprint = Blueprint("query", __name__, url_prefix="/imports/query")

#: Services that a query and the retrieve after it need.
NEEDED = ("echo", "query", "retrieve", "store")


@blueprint.get("")
@requires(*IMPORTERS)
def form() -> ResponseReturnValue:
    """Show the form, and with `?job=…` how that job stands."""
    job_id = _valid(request.args.get("job", ""))
    with parts().database.read() as session:
        shown = panel(session, parts(), job_id) if job_id else None
        form = QueryForm(
            formdata=None, data=_first_values(session, job_id or _valid(request.args.get("like", "")))
        )
        _offer(form, session)
        return _page(session, form, shown)


@blueprint.post("")
@requires(*IMPORTERS)
def submit() -> ResponseReturnValue:
    """Order a query."""
    form = QueryForm()
    with parts().database.read() as session:
        _offer(form, session)
        asked = read(form, session, parts().today())
        job_id = _ordered(asked, bool(form.retrieve.data)) if asked is not None else None
        if job_id is not None:
            return redirect(url_for("query.form", job=job_id, _anchor="progress"))
        status = HTTPStatus.UNPROCESSABLE_ENTITY if asked is None else HTTPStatus.SERVICE_UNAVAILABLE
        return _page(session, form, None), status


def _ordered(asked: RequestedQuery, retrieve: bool) -> str | None:
    criteria, job_id = asked.criteria.to_json(), new_id()
    # Remembered first: the page may look before a worker has made a row of it.
    parts().orders.remember(job_id, Order("query", asked.remote.id, asked.store.id, criteria))
    command = RunQuery(
        remote=asked.remote.id,
        store=asked.store.id,
        criteria=criteria,
        requested_by=me().name,
        retrieve=retrieve,
    )
    return order(command, "query", job_id, job_id=job_id, remote=asked.remote.id, store=asked.store.id)


@blueprint.post("/preview")
@background
@requires(*IMPORTERS)
def preview_line() -> ResponseReturnValue:
    """Say what the form asks for, while it is being filled in."""
    with parts().database.read() as session:
        return jsonify(asdict(preview(QueryForm(), session, parts().settings, parts().today())))


def _offer(form: QueryForm, session: Session) -> None:
    form.offer(list_nodes(session, "remote"), list_nodes(session, "store"))


def _page(session: Session, form: QueryForm, shown: Panel | None) -> str:
    echo_id = _valid(request.args.get("echo", ""))
    return render_template(
        "query/form.html",
        form=form,
        panel=shown,
        echo_id=echo_id or new_id(),
        echoed=bool(echo_id),
        nodes=node_panel(session, parts().live.heard.echo(echo_id) if echo_id else None),
        complaints=parts().staffing.complaints(*NEEDED),
        preview=preview(form, session, parts().settings, parts().today()),
    )


def _first_values(session: Session, job_id: str) -> dict[str, object]:
    """Return what the form begins with: what this job asked for, or today."""
    job = session.get(Query, job_id)
    retrieve = session.get(Retrieve, job_id) if job is None else None
    if retrieve is not None:
        job = session.get(Query, retrieve.query_id)
    if job is not None:
        return {"remote": str(job.remote_id), "store": str(job.store_id), **values_of(job.criteria)}
    order = parts().orders.get(job_id)
    if order is not None and order.kind == "query":
        return {"remote": str(order.remote_id), "store": str(order.store_id), **values_of(order.criteria)}
    today = parts().today().isoformat()
    return {"ignore_known": True, "date_from": today, "date_until": today}


def _valid(job_id: str) -> str:
    return job_id if valid_id(job_id) else ""
