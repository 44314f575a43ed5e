"""Server-sent events for open pages, and the banner of all of them."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from services.web.components import components, is_limited
from services.web.http_server.event_writer import HAND_OVER, HandOver
from services.web.live.event_stream import MAX_FOLLOWED, PageEvents, stream_body
from services.web.security.background import background
from shared.contract.envelope import valid_id
from shared.nodes.nodes import list_nodes

blueprint = Blueprint("live", __name__)


@blueprint.get("/live")
@background
def stream() -> Response:
    """Stream those of the followed ids (`?follow=…`, repeated) that changed."""
    followed = request.args.getlist("follow")
    if (
        not followed
        or len(followed) > MAX_FOLLOWED
        or not all(valid_id(followed_id) for followed_id in followed)
    ):
        abort(HTTPStatus.BAD_REQUEST)
    live = components().live
    stream = live.open(followed)
    if stream is None:
        return _refused()
    hand_over: HandOver | None = request.environ.get(HAND_OVER)
    if hand_over is None:
        response = Response(stream_body(stream), mimetype="text/event-stream")
        response.call_on_close(lambda: live.end(stream))
    elif hand_over(PageEvents(stream, live)):
        # An iterator, which has no length: the server goes on after the head.
        response = Response(iter(()), mimetype="text/event-stream")
    else:
        live.end(stream)
        return _refused()
    response.headers["X-Accel-Buffering"] = "no"
    return response


@blueprint.get("/banner")
@background
def banner() -> ResponseReturnValue:
    """Return what is wrong with the installation, for an open page."""
    parts, visible = components(), None
    if is_limited():
        with parts.database.read() as session:
            visible = {node.name for node in list_nodes(session)}
    return render_template("_banner.html", complaints=parts.banner() + parts.trouble.complaints(visible))


def _refused() -> Response:
    """Let the page poll instead, and try again later."""
    return Response(status=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "30"})
