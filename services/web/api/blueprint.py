"""Puts the operations of the API together and into the app."""

from __future__ import annotations

import functools

from flask import Blueprint, Flask, Response, json
from flask_wtf.csrf import CSRFProtect

from services.web.api import authentication, event_streams
from services.web.api.openapi import document
from services.web.api.operations import Operation, OperationTable, register
from services.web.api.problems import PREFIX, init_problems
from services.web.api.routes import (
    audit,
    comparisons,
    dead_letters,
    evidence,
    jobs,
    nodes,
    notifications,
    queries,
    retention,
    schedules,
    study_lists,
    system,
)
from shared.settings import Settings

NAME = "api"

about = OperationTable("about")


@about.add("GET", "/openapi.json", scope=None, result=dict[str, object])
def openapi() -> Response:
    """Return this document.

    It is open to all: it holds nothing of an installation.
    """
    return Response(_text(), mimetype="application/json")


def operations() -> list[Operation]:
    """Return all operations."""
    tables = (
        about,
        nodes.table,
        queries.table,
        study_lists.table,
        jobs.table,
        evidence.table,
        comparisons.table,
    )
    others = (
        schedules.table,
        audit.table,
        dead_letters.table,
        retention.table,
        system.table,
    )
    all_tables = (*tables, *others, notifications.table)
    return [operation for table in all_tables for operation in table.operations]


@functools.cache
def _text() -> str:
    return json.dumps(document(operations()), indent=2) + "\n"


def init_api(app: Flask, csrf: CSRFProtect, settings: Settings) -> None:
    """Serve the API; to be called after the pages have registered their error handlers."""
    blueprint = Blueprint(NAME, __name__, url_prefix=PREFIX)
    for operation in operations():
        register(blueprint, operation)
    # A token is sent by a program on purpose, never by a browser on its own.
    csrf.exempt(blueprint)
    app.extensions[authentication.KEY] = authentication.FailedTokens()
    streams = max(1, int(settings.web_threads * event_streams.STREAM_SHARE))
    app.extensions[event_streams.KEY] = event_streams.StreamSlots(streams)
    app.register_blueprint(blueprint)
    init_problems(app)
