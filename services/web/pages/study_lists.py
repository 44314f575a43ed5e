"""Imports → Lists: the long lists that were uploaded, each with its parts."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from services.web.commands.publish import publish_command
from services.web.components import components
from services.web.language import gettext, ngettext
from services.web.security.background import background
from services.web.security.sessions import IMPORTERS, audit, me, requires
from services.web.views.job_panel import POLL_ENDED_S, POLL_INTERVAL_S
from shared.contract.envelope import new_id, valid_id
from shared.contract.messages import RunRetrieve
from shared.database.models import LongList
from shared.database.session import Session
from shared.reading.lists.job_search import retrieves_of
from shared.reading.lists.study_lists import left_to_retrieve
from shared.study_lists.ledger import cancel_list, list_states, parts_of

blueprint = Blueprint("study_lists", __name__, url_prefix="/imports/lists")

#: Lists that the page shows.
SHOWN = 50


@blueprint.get("")
@requires(*IMPORTERS)
def listing() -> ResponseReturnValue:
    """List the newest lists."""
    with components().database.read() as session:
        return render_template("lists/list.html", lists=list_states(session, SHOWN))


@blueprint.get("/<list_id>")
@requires(*IMPORTERS)
def show(list_id: str) -> ResponseReturnValue:
    """Show a list with its parts."""
    return render_template("lists/show.html", **_state(list_id))


@blueprint.get("/<list_id>/state")
@background
@requires(*IMPORTERS)
def state(list_id: str) -> ResponseReturnValue:
    """Return the same for an open page."""
    return render_template("lists/_state.html", **_state(list_id))


def _state(list_id: str) -> dict[str, object]:
    with components().database.read() as session:
        found = list_states(session, 1, list_id) if valid_id(list_id) else []
        if not found:
            abort(HTTPStatus.NOT_FOUND)
        parts = parts_of(session, list_id)
        retrieves = retrieves_of(session, [part.job_id for part in parts])
    runs = found[0].row.ended_at is None
    return {
        "list": found[0],
        "parts": parts,
        "retrieves": retrieves,
        "runs": runs,
        "retrievable": [part.job_id for part in parts if part.retrievable and part.job_id not in retrieves],
        "every_s": POLL_INTERVAL_S if runs else POLL_ENDED_S,
    }


@blueprint.post("/<list_id>/cancel")
@requires(*IMPORTERS)
def cancel(list_id: str) -> ResponseReturnValue:
    """Let no further part begin, and end those that run."""
    with components().database.write() as session:
        _require(session, list_id)
        done = cancel_list(session, list_id, me().name, components().clock())
    if done:
        audit("list cancelled", list_id=list_id)
        flash(gettext("The list is cancelled. What was found stays."), "info")
    return redirect(url_for("study_lists.show", list_id=list_id))


@blueprint.post("/<list_id>/retrieve")
@requires(*IMPORTERS)
def retrieve(list_id: str) -> ResponseReturnValue:
    """Publish a retrieve of each ended part that kept something and has none."""
    with components().database.read() as session:
        _require(session, list_id)
        queries = left_to_retrieve(session, list_id)
    published = 0
    for query_id in queries:
        command = RunRetrieve(query_id=query_id, requested_by=me().name)
        retrieve_id = new_id()
        about = {"query_id": query_id, "list_id": list_id}
        if publish_command(command, "retrieve", retrieve_id, job_id=retrieve_id, **about) is None:
            break
        published += 1
    if published:
        text = ngettext("%(num)s retrieve is requested.", "%(num)s retrieves are requested.", published)
        flash(text, "info")
    return redirect(url_for("study_lists.show", list_id=list_id))


def _require(session: Session, list_id: str) -> None:
    if not valid_id(list_id) or session.get(LongList, list_id) is None:
        abort(HTTPStatus.NOT_FOUND)
