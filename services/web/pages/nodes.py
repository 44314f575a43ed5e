"""Nodes: list, add, edit, test, remove."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from services.web.commands.publish import order
from services.web.components import parts
from services.web.forms.fields import NodeForm
from services.web.live.node_status import node_panel
from services.web.pages.query import NEEDED
from services.web.security.sessions import ADMINS, IMPORTERS, audit, background, requires
from shared.contract.envelope import valid_id
from shared.contract.messages import EchoNodes
from shared.database.models import Node
from shared.errors import InvalidInputError
from shared.nodes.nodes import add_node, edit_node, is_own_store, list_nodes, remove_node

blueprint = Blueprint("nodes", __name__, url_prefix="/nodes")

KINDS = ("remote", "store")


@blueprint.get("")
@requires(*IMPORTERS)
def listing() -> ResponseReturnValue:
    """List the nodes and how they answer."""
    echo_id, only = _echo(), _only()
    with parts().database.read() as session:
        panel = node_panel(session, parts().live.heard.echo(echo_id) if echo_id else None, only)
        own = {node.id for node in list_nodes(session, "store") if is_own_store(node, parts().settings)}
    complaints = parts().staffing.complaints("echo")
    return render_template(
        "nodes/list.html", panel=panel, own=own, echo_id=echo_id, only=sorted(only), complaints=complaints
    )


@blueprint.get("/status")
@background
@requires(*IMPORTERS)
def status() -> ResponseReturnValue:
    """Return how the nodes answer, for an open page: `?on=query` its panel, else the rows of the list."""
    echo_id, only = _echo(), _only()
    with parts().database.read() as session:
        panel = node_panel(session, parts().live.heard.echo(echo_id) if echo_id else None, only)
        own = {node.id for node in list_nodes(session, "store") if is_own_store(node, parts().settings)}
    if request.args.get("on") == "query":
        complaints = parts().staffing.complaints(*NEEDED)
        return render_template("query/_nodes.html", nodes=panel, complaints=complaints)
    complaints = parts().staffing.complaints("echo")
    return render_template("nodes/_rows.html", panel=panel, own=own, complaints=complaints)


@blueprint.post("/echo")
@requires(*IMPORTERS)
def test() -> ResponseReturnValue:
    """Have nodes tested; a script gets 204 and 503, a person the page that shows the answers."""
    nodes = sorted(_only())
    echo_id = order(EchoNodes(nodes=list(nodes)), "echo", _echo() or None, nodes=len(nodes))
    if request.headers.get("X-DoseQR") == "script":
        return "", HTTPStatus.NO_CONTENT if echo_id else HTTPStatus.SERVICE_UNAVAILABLE
    if request.form.get("back") == "query":
        return redirect(url_for("query.form", echo=echo_id, job=request.form.get("job") or None))
    return redirect(url_for("nodes.listing", echo=echo_id, node=nodes))


@blueprint.route("/add/<kind>", methods=["GET", "POST"])
@requires(*ADMINS)
def add(kind: str) -> ResponseReturnValue:
    """Add a node."""
    if kind not in KINDS:
        abort(HTTPStatus.NOT_FOUND)
    form = NodeForm()
    given = form.read(kind) if form.is_submitted() else None
    if given is not None:
        try:
            with parts().database.write() as session:
                node = add_node(session, given, parts().clock())
        except InvalidInputError as error:
            form.refuse(error)
        else:
            audit("node added", node_id=node.id, kind=kind)
            flash(f"The node {node.name} is added.", "success")
            return redirect(url_for("nodes.listing"))
    page = render_template("nodes/form.html", form=form, kind=kind, node=None)
    return page, HTTPStatus.UNPROCESSABLE_ENTITY if form.problems() else HTTPStatus.OK


@blueprint.route("/<int:node_id>/edit", methods=["GET", "POST"])
@requires(*ADMINS)
def edit(node_id: int) -> ResponseReturnValue:
    """Change a node; running jobs take the change with their next association."""
    with parts().database.read() as session:
        node = _node(session, node_id)
    form = NodeForm(obj=node)
    given = form.read(node.kind) if form.is_submitted() else None
    if given is not None:
        try:
            with parts().database.write() as session:
                edit_node(session, _node(session, node_id), given)
        except InvalidInputError as error:
            form.refuse(error)
        else:
            audit("node edited", node_id=node_id)
            flash(f"The node {given.name} is changed.", "success")
            return redirect(url_for("nodes.listing"))
    page = render_template("nodes/form.html", form=form, kind=node.kind, node=node)
    return page, HTTPStatus.UNPROCESSABLE_ENTITY if form.problems() else HTTPStatus.OK


@blueprint.route("/<int:node_id>/remove", methods=["GET", "POST"])
@requires(*ADMINS)
def remove(node_id: int) -> ResponseReturnValue:
    """Ask whether a node is to be removed, and remove it."""
    with parts().database.read() as session:
        node = _node(session, node_id)
    if request.method == "GET":
        return render_template("nodes/remove.html", node=node, own=is_own_store(node, parts().settings))
    name = node.name
    with parts().database.write() as session:
        remove_node(session, _node(session, node_id), parts().clock())
    audit("node removed", node_id=node_id)
    flash(f"The node {name} is removed.", "success")
    return redirect(url_for("nodes.listing"))


def _node(session: Session, node_id: int) -> Node:
    node = session.get(Node, node_id)
    if node is None or node.removed_at is not None:
        abort(HTTPStatus.NOT_FOUND)
    return node


def _echo() -> str:
    echo_id = request.values.get("echo", "")
    return echo_id if valid_id(echo_id) else ""


def _only() -> frozenset[int]:
    longest = 9
    given = request.values.getlist("node")[:1000]
    return frozenset(int(one) for one in given if one.isascii() and one.isdecimal() and len(one) <= longest)
