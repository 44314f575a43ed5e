"""Imports → Query remote server: node status at the top, form at the left, live progress at the right."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from services.web.commands.publish import publish_command
from services.web.components import components
from services.web.forms.confirmation import Confirmation
from services.web.forms.query import (
    QueryForm,
    RequestedQuery,
    choices_of,
    presets,
    preview,
    read,
    uploaded_list,
    values_of,
)
from services.web.live.event_stream import MAX_FOLLOWED
from services.web.live.node_status import node_panel
from services.web.pending_commands import PendingCommand
from services.web.security.background import background
from services.web.security.kept_form import kept_form
from services.web.security.sessions import IMPORTERS, audit, me, requires
from services.web.views.job_panel import POLL_ENDED_S, POLL_INTERVAL_S, Panel, panel
from shared.contract.criteria import IDENTIFIERS
from shared.contract.envelope import new_id, valid_id
from shared.contract.messages import ENDED, RunQuery
from shared.database.models import Query, Retrieve
from shared.nodes.nodes import list_nodes
from shared.reading.lists.job_search import latest_of
from shared.study_lists.ledger import NewList, add_list

blueprint = Blueprint("query", __name__, url_prefix="/imports/query")

#: Jobs of one's own on the page.
LATEST = 5


@blueprint.get("")
@requires(*IMPORTERS)
def form() -> ResponseReturnValue:
    """Show the form, and with `?job=…` the progress of that job."""
    job_id = _valid(request.args.get("job", ""))
    with components().database.read() as session:
        shown = panel(session, components(), job_id) if job_id else None
        kept = kept_form() if "kept" in request.args else None
        form = QueryForm(
            formdata=kept, data=_first_values(session, job_id or _valid(request.args.get("like", "")))
        )
        _offer(form, session)
        return _page(session, form, shown)


@blueprint.post("")
@requires(*IMPORTERS)
def submit() -> ResponseReturnValue:
    """Publish a query."""
    form = QueryForm()
    with components().database.read() as session:
        _offer(form, session)
        requested = read(form, session, components().settings, components().today())
        if requested is None or requested.unconfirmed is not None:
            doubt = requested.unconfirmed if requested is not None else None
            return _page(session, form, None, doubt), HTTPStatus.UNPROCESSABLE_ENTITY
    if requested.long_list is not None:
        return redirect(url_for("study_lists.show", list_id=_begin_list(requested, form)))
    # Without a connection to the database: the broker may take long.
    job_id = _publish_query(requested, bool(form.retrieve.data))
    if job_id is not None:
        return redirect(url_for("query.form", job=job_id, _anchor="progress"))
    with components().database.read() as session:
        return _page(session, form, None), HTTPStatus.SERVICE_UNAVAILABLE


def _publish_query(requested: RequestedQuery, retrieve: bool) -> str | None:
    criteria, job_id = requested.criteria.to_json(), new_id()
    # Remembered first: the page may load before a worker has written its row.
    components().pending_commands.remember(
        job_id, PendingCommand("query", requested.remote.id, requested.store.id, criteria, retrieve=retrieve)
    )
    command = RunQuery(
        remote=requested.remote.id,
        store=requested.store.id,
        criteria=criteria,
        requested_by=me().name,
        retrieve=retrieve,
    )
    return publish_command(
        command, "query", job_id, job_id=job_id, remote=requested.remote.id, store=requested.store.id
    )


def _begin_list(requested: RequestedQuery, form: QueryForm) -> str:
    """Write a list down that is longer than one query; the query service begins its parts."""
    found = requested.long_list
    assert found is not None
    given = NewList(
        name=str(form.list_file.data.filename),
        field=found.field,
        identifiers=found.identifiers,
        remote=requested.remote,
        store=requested.store,
        criteria={**requested.criteria.to_json(), **{name: [] for name in IDENTIFIERS}},
        retrieve=bool(form.retrieve.data),
        requested_by=me().name,
        left_out=found.number_of_errors,
    )
    with components().database.write() as session:
        list_id = add_list(session, given, components().clock())
    audit("list", list_id=list_id, remote=requested.remote.id, identifiers=len(found.identifiers))
    return list_id


@blueprint.post("/list")
@background
@requires(*IMPORTERS)
def list_report() -> ResponseReturnValue:
    """Return what is in the file of a form, while it is filled in."""
    form = QueryForm()
    found = uploaded_list(form)
    problems = list(form.list_file.errors) if found is None or found.column is None else []
    return render_template("query/_list.html", uploaded=found, list_problems=problems, form=form)


@blueprint.get("/latest")
@background
@requires(*IMPORTERS)
def latest() -> ResponseReturnValue:
    """Return the last jobs of who looks at the page, for an open page."""
    with components().database.read() as session:
        return render_template("query/_latest.html", **_latest(session))


def _latest(session: Session) -> dict[str, object]:
    entries = latest_of(session, me().name, LATEST)
    shown = (job for entry in entries for job in (entry.job, *entry.retrieves))
    running = [job.id for job in shown if job.status not in ENDED]
    every_s = POLL_INTERVAL_S if running else POLL_ENDED_S
    return {"latest": entries, "latest_follow": running[:MAX_FOLLOWED], "latest_every_s": every_s}


@blueprint.post("/preview")
@background
@requires(*IMPORTERS)
def preview_line() -> ResponseReturnValue:
    """Summarise the form while it is being filled in."""
    with components().database.read() as session:
        return jsonify(asdict(preview(QueryForm(), session, components().settings, components().today())))


def _offer(form: QueryForm, session: Session) -> None:
    form.offer(list_nodes(session, "remote"), list_nodes(session, "store"))


def _page(session: Session, form: QueryForm, shown: Panel | None, doubt: Confirmation | None = None) -> str:
    echo_id = _valid(request.args.get("echo", ""))
    return render_template(
        "query/form.html",
        form=form,
        panel=shown,
        doubt=doubt,
        echo_id=echo_id or new_id(),
        echoed=bool(echo_id),
        nodes=node_panel(session, components().live.event_results.echo(echo_id) if echo_id else None),
        preview=preview(form, session, components().settings, components().today()),
        presets=presets(components().today()),
        today=components().today(),
        uploaded=form.uploaded,
        **({} if shown else _latest(session)),
    )


def _first_values(session: Session, job_id: str) -> dict[str, object]:
    """Return the initial values of the form: the criteria of this job, or today."""
    job = session.get(Query, job_id)
    retrieve = session.get(Retrieve, job_id) if job is None else None
    if retrieve is not None:
        job = session.get(Query, retrieve.query_id)
    if job is not None:
        nodes = {"remote": str(job.remote_id), "store": str(job.store_id)}
        return {**nodes, **values_of(job.criteria), "retrieve": job.retrieve_after}
    command = components().pending_commands.get(job_id)
    if command is not None and command.kind == "query":
        return {
            "remote": str(command.remote_id),
            "store": str(command.store_id),
            **values_of(command.criteria),
            "retrieve": command.retrieve,
        }
    today = components().today().isoformat()
    values = {"ignore_known": True, "by": "date", "date_from": today, "date_until": today}
    mine = latest_of(session, me().name, 1)
    remembered = choices_of(mine[0].query) if mine and mine[0].query is not None else {}
    return {**values, **remembered, **_prefilled()}


def _prefilled() -> dict[str, object]:
    """Return the values with which another page opens the form, such as a day of the calendar."""
    given = {
        name: request.args[name] for name in ("remote", "date_from", "date_until") if name in request.args
    }
    types = request.args.getlist("types")
    return {**given, **({"types": types} if types else {})}


def _valid(job_id: str) -> str:
    return job_id if valid_id(job_id) else ""
