"""Set up a PACS in three steps: its address, its tests, and the sheet for its administrator."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from services.web.commands.publish import publish_command
from services.web.components import components
from services.web.language import gettext
from services.web.pending_commands import PendingCommand
from services.web.security.sessions import IMPORTERS, me, requires
from shared.contract.envelope import new_id
from shared.contract.messages import RunRetrieve
from shared.database.models import Node, NodeCheck
from shared.nodes.nodes import is_own_store, list_nodes
from shared.reading.lists.trial import Trial, trial_of
from shared.reading.profiles import known_profile

blueprint = Blueprint("setup", __name__, url_prefix="/nodes/<int:node_id>/setup")


@blueprint.get("")
@requires(*IMPORTERS)
def show(node_id: int) -> ResponseReturnValue:
    """Show the three steps with what is done of them."""
    return render_template("nodes/setup.html", **_state(node_id))


@blueprint.get("/sheet")
@requires(*IMPORTERS)
def sheet(node_id: int) -> ResponseReturnValue:
    """Show what the administrator of the PACS has to enter and to know, to be printed."""
    return render_template("nodes/sheet.html", **_state(node_id))


@blueprint.post("/trial")
@requires(*IMPORTERS)
def retrieve_one(node_id: int) -> ResponseReturnValue:
    """Publish the retrieve of one study of the newest query that kept something."""
    with components().database.read() as session:
        _node(session, node_id)
        trial = trial_of(session, node_id)
    if trial is None:
        flash(
            gettext("Query this node first, for a single day: no study is known that could be retrieved."),
            "info",
        )
        return redirect(url_for("setup.show", node_id=node_id))
    retrieve_id = new_id()
    command = RunRetrieve(
        query_id=trial.query_id, study_instance_uids=[trial.study_instance_uid], requested_by=me().name
    )
    components().pending_commands.remember(retrieve_id, PendingCommand("retrieve", query_id=trial.query_id))
    if publish_command(command, "retrieve", retrieve_id, job_id=retrieve_id, query_id=trial.query_id) is None:
        components().pending_commands.forget(retrieve_id)
        return redirect(url_for("setup.show", node_id=node_id))
    return redirect(url_for("jobs.detail", job_id=retrieve_id))


def _state(node_id: int) -> dict[str, object]:
    parts = components()
    with parts.database.read() as session:
        node = _node(session, node_id)
        trial: Trial | None = trial_of(session, node_id)
        own = next(
            (store for store in list_nodes(session, "store") if is_own_store(store, parts.settings)), None
        )
        return {
            "node": node,
            "check": session.get(NodeCheck, node_id),
            "known": known_profile(session, node, parts.settings),
            "trial": trial,
            "own": own,
            "stores": [store for store in list_nodes(session, "store") if store is not own],
            "calling": node.calling_ae_title or parts.settings.store_ae_title,
        }


def _node(session: Session, node_id: int) -> Node:
    node = session.get(Node, node_id)
    if node is None or node.removed_at is not None or node.kind != "remote":
        abort(HTTPStatus.NOT_FOUND)
    return node
