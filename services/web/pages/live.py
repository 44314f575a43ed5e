"""Server-sent events for open pages, and the banner of all of them."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from services.web.components import components
from services.web.live.event_stream import MAX_FOLLOWED, stream_body
from services.web.security.background import background
from shared.contract.envelope import valid_id

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
        # The page polls instead, and tries again later.
        return Response(status=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "30"})
    response = Response(stream_body(stream), mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(lambda: live.end(stream))
    return response


@blueprint.get("/banner")
@background
def banner() -> ResponseReturnValue:
    """Return what is wrong with the installation, for an open page."""
    parts = components()
    return render_template("_banner.html", complaints=parts.banner() + parts.trouble.complaints())
