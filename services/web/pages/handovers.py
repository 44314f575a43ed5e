"""Retrying a hand-over that was given up."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from services.web.commands.publish import publish_command
from services.web.components import components
from services.web.language import gettext
from services.web.security.sessions import IMPORTERS, me, requires
from shared.contract.envelope import valid_id
from shared.contract.messages import RetryHandover
from shared.database.models import Retrieve

blueprint = Blueprint("handovers", __name__, url_prefix="/jobs")


@blueprint.post("/<job_id>/handover")
@requires(*IMPORTERS)
def retry(job_id: str) -> ResponseReturnValue:
    """Publish a new hand-over of what was given up of a retrieve."""
    with components().database.read() as session:
        job = session.get(Retrieve, job_id) if valid_id(job_id) else None
    if job is None:
        abort(HTTPStatus.NOT_FOUND)
    command = RetryHandover(job_id=job_id, requested_by=me().name)
    if publish_command(command, "handover.retry", job_id=job_id):
        flash(
            gettext("The objects are handed over to the importer again; reload this page in a moment."),
            "info",
        )
    return redirect(url_for("jobs.detail", job_id=job_id))
