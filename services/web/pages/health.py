"""Health of the web service, for whoever runs it; no log-in."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import text

from services.web.components import parts
from shared.errors import DatabaseAwayError

blueprint = Blueprint("health", __name__, url_prefix="/health")


@blueprint.get("/live")
def live() -> ResponseReturnValue:
    """Answer: the process lives."""
    return jsonify(status="ok")


@blueprint.get("/ready")
def ready() -> ResponseReturnValue:
    """Answer whether database and broker can be reached: 200 or 503."""
    checks = {"database": _database(), "broker": not parts().staffing.look().broker_away}
    good = all(checks.values())
    told = {name: "ok" if reached else "away" for name, reached in checks.items()}
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return jsonify(status="ok" if good else "away", **told), status


def _database() -> bool:
    try:
        with parts().database.read() as session:
            session.execute(text("SELECT 1"))
    except DatabaseAwayError:
        return False
    return True
