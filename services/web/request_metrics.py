"""Counts the requests to the page and the API."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request

from shared.metrics.process_metrics import request_ends


def init_request_metrics(app: Flask) -> None:
    """Count every request of an app."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.began_at = time.monotonic()


def _end(response: Response) -> Response:
    # Of a request that was refused before it had a route, there is no beginning.
    duration_s = time.monotonic() - g.get("began_at", time.monotonic())
    request_ends(request.method, request.endpoint or "none", response.status_code, duration_s)
    return response
