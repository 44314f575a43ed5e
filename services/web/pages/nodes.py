"""Nodes: list, add, edit, test, remove."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from services.web.commands.node_pauses import change_node_pause
from services.web.commands.publish import publish_command
from services.web.components import components, is_limited
from services.web.forms.fields import NodeForm
from services.web.language import gettext
from services.web.live.node_status import node_panel
from services.web.security.background import background
from services.web.security.sessions import ADMINS, IMPORTERS, audit, me, requires
from shared.contract.envelope import new_id, valid_id
from shared.contract.messages import EchoNodes
from shared.database.models import Node
from shared.errors import InvalidInputError
from shared.nodes.nodes import add_node, edit_node, is_own_store, list_nodes
from shared.nodes.removal import OwnStoreError, is_only_own_store, remove_node

blueprint = Blueprint("nodes", __name__, url_prefix="/nodes")

KINDS = ("remote", "store")


@blueprint.get("")
@requires(*IMPORTERS)
def listing() -> ResponseReturnValue:
    """List the nodes with their last C-ECHO results."""
    echo_id, only = _echo(), _only()
    with components().database.read() as session:
        panel = node_panel(session, components().live.event_results.echo(echo_id) if echo_id else None, only)
        own = {node.id for node in list_nodes(session, "store") if is_own_store(node, components().settings)}
    return render_template("nodes/list.html", panel=panel, own=own, echo_id=echo_id, only=sorted(only))


@blueprint.get("/status")
@background
@requires(*IMPORTERS)
def status() -> ResponseReturnValue:
    """Return the C-ECHO results for an open page: the query page's (`?on=query`) or the list."""
    echo_id, only = _echo(), _only()
    with components().database.read() as session:
        panel = node_panel(session, components().live.event_results.echo(echo_id) if echo_id else None, only)
        own = {node.id for node in list_nodes(session, "store") if is_own_store(node, components().settings)}
    if request.args.get("on") == "query":
        return render_template("query/_nodes.html", nodes=panel)
    return render_template("nodes/_rows.html", panel=panel, own=own)


@blueprint.post("/echo")
@requires(*IMPORTERS)
def test() -> ResponseReturnValue:
    """Publish a C-ECHO of nodes; a script gets 204 or 503, a person the page that shows the results."""
    nodes = _visible(sorted(_only()))
    if not nodes and is_limited():
        # A command without nodes would test all.
        return redirect(url_for("nodes.listing"))
    by_script = request.headers.get("X-DoseQR") == "script"
    # What a page does when it is opened was ordered by nobody.
    action = "" if by_script else "echo"
    echo_id = publish_command(
        EchoNodes(nodes=list(nodes)), action, _echo() or None, nodes=len(nodes) or "all"
    )
    if by_script:
        return "", HTTPStatus.NO_CONTENT if echo_id else HTTPStatus.SERVICE_UNAVAILABLE
    if request.form.get("back") == "query":
        return redirect(url_for("query.form", echo=echo_id, job=request.form.get("job") or None))
    return redirect(url_for("nodes.listing", echo=echo_id, node=nodes))


@blueprint.get("/add/<kind>")
@requires(*ADMINS)
def add(kind: str) -> ResponseReturnValue:
    """Show the form of a new node."""
    _check_kind(kind)
    return _form_page(NodeForm(), kind)


@blueprint.post("/add/<kind>")
@requires(*ADMINS)
def create(kind: str) -> ResponseReturnValue:
    """Add a node."""
    _check_kind(kind)
    form = NodeForm()
    given = form.read(kind)
    if given is not None:
        now = components().clock()
        try:
            with components().database.write() as session:
                node = add_node(session, given, now)
        except InvalidInputError as error:
            form.refuse(error)
        else:
            if node.created_at != now:
                flash(gettext("There is such a node already: %(name)s.", name=node.name), "info")
                return redirect(url_for("nodes.listing"))
            audit("node added", node_id=node.id, kind=kind)
            flash(gettext("The node %(name)s is added.", name=node.name), "success")
            return _tested(node.id)
    return _form_page(form, kind), HTTPStatus.UNPROCESSABLE_ENTITY


@blueprint.get("/<int:node_id>/edit")
@requires(*ADMINS)
def edit(node_id: int) -> ResponseReturnValue:
    """Show the form of a node."""
    with components().database.read() as session:
        node = _node(session, node_id)
    return _form_page(NodeForm(formdata=None, obj=node), node.kind, node)


@blueprint.post("/<int:node_id>/edit")
@requires(*ADMINS)
def change(node_id: int) -> ResponseReturnValue:
    """Edit a node; running jobs use the change from their next association on."""
    with components().database.read() as session:
        node = _node(session, node_id)
    form = NodeForm(obj=node)
    given = form.read(node.kind)
    if given is not None:
        try:
            with components().database.write() as session:
                edit_node(session, _node(session, node_id), given)
        except InvalidInputError as error:
            form.refuse(error)
        else:
            audit("node edited", node_id=node_id)
            flash(gettext("The node %(name)s is changed.", name=given.name), "success")
            return _tested(node_id)
    return _form_page(form, node.kind, node), HTTPStatus.UNPROCESSABLE_ENTITY


@blueprint.get("/<int:node_id>/remove")
@requires(*ADMINS)
def confirm_removal(node_id: int) -> ResponseReturnValue:
    """Request confirmation before a node is removed."""
    with components().database.read() as session:
        node = _node(session, node_id)
        own = is_only_own_store(session, node, components().settings)
    return render_template("nodes/remove.html", node=node, own=own)


@blueprint.post("/<int:node_id>/remove")
@requires(*ADMINS)
def remove(node_id: int) -> ResponseReturnValue:
    """Remove a node."""
    with components().database.write() as session:
        node = _node(session, node_id)
        name = node.name
        try:
            remove_node(session, node, components().settings, components().clock())
        except OwnStoreError:
            return render_template("nodes/remove.html", node=node, own=True), HTTPStatus.CONFLICT
    audit("node removed", node_id=node_id)
    flash(gettext("The node %(name)s is removed.", name=name), "success")
    return redirect(url_for("nodes.listing"))


@blueprint.post("/<int:node_id>/pause")
@requires(*ADMINS)
def pause(node_id: int) -> ResponseReturnValue:
    """Pause a node: no job uses it until it is resumed."""
    return _set_pause(node_id, paused=True)


@blueprint.post("/<int:node_id>/resume")
@requires(*ADMINS)
def resume(node_id: int) -> ResponseReturnValue:
    """Let the jobs go on that wait for a paused node."""
    return _set_pause(node_id, paused=False)


def _tested(node_id: int) -> ResponseReturnValue:
    """Test a new or changed node, and show what comes of it."""
    echo_id = publish_command(EchoNodes(nodes=[node_id]), "echo", nodes=1)
    return redirect(url_for("nodes.listing", echo=echo_id, node=node_id))


def _set_pause(node_id: int, *, paused: bool) -> ResponseReturnValue:
    with components().database.read() as session:
        _node(session, node_id)
    node = change_node_pause(node_id, new_id(), me().name, paused=paused)
    audit("node paused" if paused else "node resumed", node_id=node_id)
    if paused:
        text = gettext(
            "The node %(name)s is paused: its jobs wait, and nothing of them fails.", name=node.name
        )
    else:
        text = gettext("The node %(name)s is resumed: its jobs go on.", name=node.name)
    flash(text, "success")
    return redirect(url_for("nodes.listing"))


def _visible(node_ids: list[int]) -> list[int]:
    """Return the nodes to test; none: all, where all may be seen."""
    if not is_limited():
        return node_ids
    with components().database.read() as session:
        known = [node.id for node in list_nodes(session)]
    if not set(node_ids) <= set(known):
        abort(HTTPStatus.NOT_FOUND)
    return node_ids or known


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        abort(HTTPStatus.NOT_FOUND)


def _form_page(form: NodeForm, kind: str, node: Node | None = None) -> str:
    return render_template("nodes/form.html", form=form, kind=kind, node=node)


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
    return frozenset(
        int(text) for text in given if text.isascii() and text.isdecimal() and len(text) <= longest
    )
