"""What is known of a remote node: the page that tells it, measures it and forgets it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from services.web.commands.publish import order
from services.web.components import parts
from services.web.security.sessions import ADMINS, IMPORTERS, background, me, requires
from shared.contract.envelope import valid_id
from shared.contract.messages import ProfileNode
from shared.database.models import Node
from shared.querying.profile_text import told
from shared.reading.profiles import known_profile

blueprint = Blueprint("profiles", __name__, url_prefix="/nodes/<int:node_id>/profile")


@blueprint.get("")
@requires(*IMPORTERS)
def show(node_id: int) -> ResponseReturnValue:
    """Tell what is known of a node; with `?asked=…`, how that command stands."""
    return render_template("nodes/profile.html", **_state(node_id))


@blueprint.get("/status")
@background
@requires(*IMPORTERS)
def status(node_id: int) -> ResponseReturnValue:
    """Return the same for an open page."""
    return render_template("nodes/_profile.html", **_state(node_id))


@blueprint.post("")
@requires(*ADMINS)
def ask(node_id: int) -> ResponseReturnValue:
    """Have a node measured, or what is known of it forgotten (`forget=yes`)."""
    node = _state(node_id)["node"]
    forget = request.form.get("forget") == "yes"
    command = ProfileNode(node=node.id, measure=not forget, forget=forget, requested_by=me().name)
    asked = order(command, "profile forgotten" if forget else "profile measured", node_id=node.id)
    return redirect(url_for("profiles.show", node_id=node_id, asked=asked))


def _state(node_id: int) -> dict[str, Any]:
    asked = request.args.get("asked", "")
    asked = asked if valid_id(asked) else ""
    heard = parts().live.heard
    result, rejection = heard.profiled(asked), heard.rejection(asked)
    with parts().database.read() as session:
        node = session.get(Node, node_id)
        if node is None or node.removed_at is not None or node.kind != "remote":
            abort(HTTPStatus.NOT_FOUND)
        known = known_profile(session, node, parts().settings)
    # The event may have been told to another process, or before this one began to listen.
    done = bool(asked) and known.profile.measured_by == asked
    return {
        "node": node,
        "known": known,
        "fields": [one for one in told(known.profile) if one.name != "measured_at"],
        "asked": asked,
        "result": result,
        "rejection": rejection,
        "waiting": bool(asked) and not (result or rejection or done),
        "complaints": parts().staffing.complaints("query"),
    }
