"""The profile of a remote node: show, measure, forget."""

from __future__ import annotations

from http import HTTPStatus
from typing import TypedDict

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from services.web.commands.publish import publish_command
from services.web.components import components
from services.web.security.background import background
from services.web.security.sessions import ADMINS, IMPORTERS, me, requires
from shared.contract.envelope import valid_id
from shared.contract.messages import NodeProfiled, ProfileNode, Rejected
from shared.database.models import Node
from shared.querying.profile_text import ProfileEntry, profile_entries
from shared.reading.profiles import KnownProfile, known_profile

blueprint = Blueprint("profiles", __name__, url_prefix="/nodes/<int:node_id>/profile")


@blueprint.get("")
@requires(*IMPORTERS)
def show(node_id: int) -> ResponseReturnValue:
    """Show the profile of a node; with `?asked=…`, also the state of that command."""
    return render_template("nodes/profile.html", **_state(node_id))


@blueprint.get("/status")
@background
@requires(*IMPORTERS)
def status(node_id: int) -> ResponseReturnValue:
    """Return the same for an open page."""
    return render_template("nodes/_profile.html", **_state(node_id))


@blueprint.post("")
@requires(*ADMINS)
def publish(node_id: int) -> ResponseReturnValue:
    """Publish a measurement of a node, or that its profile be forgotten (`forget=yes`)."""
    node = _state(node_id)["node"]
    forget = request.form.get("forget") == "yes"
    command = ProfileNode(node=node.id, measure=not forget, forget=forget, requested_by=me().name)
    command_id = publish_command(
        command, "profile forgotten" if forget else "profile measured", node_id=node.id
    )
    return redirect(url_for("profiles.show", node_id=node_id, asked=command_id))


class _State(TypedDict):
    node: Node
    known: KnownProfile
    fields: list[ProfileEntry]
    #: Id of the command that was published; empty: none.
    command_id: str
    result: NodeProfiled | None
    rejection: Rejected | None
    waiting: bool


def _state(node_id: int) -> _State:
    command_id = request.args.get("asked", "")
    command_id = command_id if valid_id(command_id) else ""
    event_results = components().live.event_results
    result, rejection = event_results.profiled(command_id), event_results.rejection(command_id)
    with components().database.read() as session:
        node = session.get(Node, node_id)
        if node is None or node.removed_at is not None or node.kind != "remote":
            abort(HTTPStatus.NOT_FOUND)
        known = known_profile(session, node, components().settings)
    if result is not None and result.node_id != node_id:
        result = None
    # The event may have reached another web process, or come before this one subscribed.
    done = bool(command_id) and known.profile.measured_by == command_id
    return {
        "node": node,
        "known": known,
        "fields": [field for field in profile_entries(known.profile) if field.name != "measured_at"],
        "command_id": command_id,
        "result": result,
        "rejection": rejection,
        "waiting": bool(command_id) and not (result or rejection or done),
    }
