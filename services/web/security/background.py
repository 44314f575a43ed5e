"""Marking requests that an open page makes by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from flask import current_app, has_request_context, request

P = ParamSpec("P")
R = TypeVar("R")

_BACKGROUND = "doseqr_background"


def background(view: Callable[P, R]) -> Callable[P, R]:
    """Mark a view that open pages poll: it keeps no session alive, and leads to no log-in."""
    setattr(view, _BACKGROUND, True)
    return view


def in_background() -> bool:
    """Return whether the request was made by an open page itself."""
    view = current_app.view_functions.get(request.endpoint or "") if has_request_context() else None
    return hasattr(view, _BACKGROUND)
