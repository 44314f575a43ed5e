"""Health of the web service; no log-in needed."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import text

from services.web.components import components
from shared.errors import DatabaseAwayError
from shared.health import LIVE, readiness

blueprint = Blueprint("health", __name__, url_prefix="/health")


@blueprint.get("/live")
def live() -> ResponseReturnValue:
    """Return 200 while the process runs."""
    return jsonify(LIVE)


@blueprint.get("/ready")
def ready() -> ResponseReturnValue:
    """Return 200 if database and broker can be reached, otherwise 503."""
    checks = {"database": _database(), "broker": not components().service_status.current().broker_away}
    # No more than this: nobody has to log in here.
    status, body = readiness({name: "away" for name, reached in checks.items() if not reached})
    return jsonify(body), status


def _database() -> bool:
    try:
        with components().database.read() as session:
            session.execute(text("SELECT 1"))
    except DatabaseAwayError:
        return False
    return True
