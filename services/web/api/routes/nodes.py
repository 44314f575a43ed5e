"""Nodes: list, add, change, remove, test, and what is known of them."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel, ConfigDict, with_config
from sqlalchemy.orm import Session
from typing_extensions import TypedDict

from services.web.api.authentication import identity
from services.web.api.bodies import NodeChange
from services.web.api.commands import audit, publish, refuse_rejected
from services.web.api.idempotency import command_id
from services.web.api.operations import OperationResult, OperationTable
from services.web.api.problems import PREFIX, ProblemError, not_found, unavailable
from services.web.commands.node_pauses import change_node_pause
from services.web.components import components
from shared.contract.messages import EchoNodes
from shared.contract.results import NodeResult, ProfileResult
from shared.database.models import Node
from shared.nodes.nodes import (
    TLS,
    NodeInput,
    UnknownNodeError,
    add_node,
    edit_node,
    find_node,
    list_nodes,
    node_attributes,
    node_json,
    parse_node,
)
from shared.nodes.removal import OwnStoreError, remove_node
from shared.reading.profiles import profile_json

table = OperationTable("nodes")

#: What an echo service may need beyond the time-outs of the node itself, in seconds, and the longest that a
#: request waits, whatever they are.
ECHO_SLACK_S, ECHO_LONGEST_S = 5.0, 60.0


class NodesQuery(BaseModel):
    """Which nodes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["remote", "store"] | None = None


@with_config(ConfigDict(extra="forbid"))
class NodeEcho(TypedDict):
    """How a node responded to a C-ECHO."""

    node: str
    kind: str
    ok: bool
    rtt_ms: float | None
    outcome: str
    detail: str


@table.add("GET", "/nodes", scope="read", query=NodesQuery, result=list[NodeResult])
def list_all_nodes(query: NodesQuery) -> object:
    """List the nodes by id."""
    with components().database.read() as session:
        return [node_json(node) for node in list_nodes(session, query.kind)]


@table.add("POST", "/nodes", scope="admin", body=NodeInput, result=NodeResult, status=HTTPStatus.CREATED)
def create_node(body: NodeInput) -> object:
    """Add a node.

    Adding the same again changes nothing and returns the one there is.
    """
    with components().database.write() as session:
        node = add_node(session, body, components().clock())
    audit("node added", node_id=node.id, kind=node.kind)
    return OperationResult(node_json(node), location=f"{PREFIX}/nodes/{node.id}")


@table.add("GET", "/nodes/{node}", scope="read", result=NodeResult)
def read_node(node: str) -> object:
    """Return a node."""
    with components().database.read() as session:
        return node_json(_node(session, node))


@table.add("PATCH", "/nodes/{node}", scope="admin", body=NodeChange, result=NodeResult)
def change_node(node: str, body: NodeChange) -> object:
    """Change some fields of a node.

    Running jobs take the change with their next association. The kind cannot be changed.
    """
    with components().database.write() as session:
        row = _node(session, node)
        given = parse_node(_for_kind(row.kind, node_attributes(row)) | body.changes())
        edit_node(session, row, given)
        changed = node_json(row)
    audit("node edited", node_id=row.id, fields=sorted(body.changes()))
    return changed


@table.add(
    "DELETE",
    "/nodes/{node}",
    scope="admin",
    status=HTTPStatus.NO_CONTENT,
    problems=(HTTPStatus.CONFLICT,),
)
def delete_node(node: str) -> None:
    """Remove a node; it stays for the jobs that name it, and its name is free again.

    DoseQR's own store stays.
    """
    with components().database.write() as session:
        row = _node(session, node)
        try:
            remove_node(session, row, components().settings, components().clock())
        except OwnStoreError as error:
            raise ProblemError(HTTPStatus.CONFLICT, f"{row.name} {error.problem}.") from error
    audit("node removed", node_id=row.id)


@table.add(
    "POST", "/nodes/{node}/echo", scope="import", result=NodeEcho, problems=(HTTPStatus.GATEWAY_TIMEOUT,)
)
def echo_node(node: str) -> object:
    """Test a node with C-ECHO and return how it responded."""
    with components().database.read() as session:
        row = _node(session, node)
    live = components().live
    # Opened first, so that no event is missed; the number of those who wait is bounded by it.
    stream = live.open((echo_id := command_id(),))
    if stream is None:
        raise unavailable("Too many requests wait for events now.")
    try:
        publish(EchoNodes(nodes=[row.id]), "echo", needs=("echo",), node_id=row.id)
        deadline = time.monotonic() + _longest_echo_s()
        while (left_s := deadline - time.monotonic()) > 0:
            refuse_rejected(echo_id)
            status = live.event_results.echo(echo_id).results.get(row.id)
            if status is not None:
                return status.shown()
            if stream.wait(left_s) is None:
                break
    finally:
        live.end(stream)
    raise ProblemError(
        HTTPStatus.GATEWAY_TIMEOUT,
        f"The echo service has not reported within {_longest_echo_s():.0f} s how {row.name} responds.",
    )


@table.add("POST", "/nodes/{node}/pause", scope="admin", result=NodeResult)
def pause_node(node: str) -> object:
    """Pause a node: no job uses it until it is resumed, and nothing of them fails; an echo still tests it.

    Work in hand stops within two seconds. Pausing it again changes nothing.
    """
    return _set_pause(node, paused=True)


@table.add("POST", "/nodes/{node}/resume", scope="admin", result=NodeResult)
def resume_node(node: str) -> object:
    """Let the jobs go on that wait for a paused node."""
    return _set_pause(node, paused=False)


def _set_pause(reference: str, *, paused: bool) -> object:
    with components().database.read() as session:
        node_id = _node(session, reference).id
    node = change_node_pause(node_id, command_id(), identity().owner, paused=paused)
    audit("node paused" if paused else "node resumed", node_id=node_id)
    return node_json(node)


@table.add("GET", "/nodes/{node}/profile", scope="read", result=ProfileResult)
def read_profile(node: str) -> object:
    """Return what is known of a remote node: what it can do, as far as it was measured."""
    with components().database.read() as session:
        row = _node(session, node, kind="remote")
        return profile_json(session, row, components().settings)


def _node(session: Session, reference: str, kind: str | None = None) -> Node:
    try:
        return find_node(session, reference, kind)
    except UnknownNodeError as error:
        raise not_found(f"{error.problem}.") from None


def _for_kind(kind: str, present: dict[str, object]) -> dict[str, object]:
    """Return the present fields that a node of this kind may have."""
    if kind == "remote":
        return {name: value for name, value in present.items() if name != "verify_by"}
    names = ("kind", "name", "host", "port", "ae_title", "verify_by", *TLS)
    return {name: present[name] for name in names}


def _longest_echo_s() -> float:
    settings = components().settings
    return min(ECHO_LONGEST_S, settings.connect_timeout + settings.dimse_timeout + ECHO_SLACK_S)
