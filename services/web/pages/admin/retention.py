"""What retention would remove now, and what it has removed."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from services.web.api.routes.retention import read_retention
from services.web.security.sessions import ADMINS, requires

blueprint = Blueprint("retention", __name__, url_prefix="/system/retention")


@blueprint.get("")
@requires(*ADMINS)
def show() -> ResponseReturnValue:
    """Show what would be removed now."""
    return render_template("admin/retention.html", retention=read_retention())
