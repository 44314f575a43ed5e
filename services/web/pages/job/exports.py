"""A job as files: its tables as CSV, all of it as JSON, and the record for signing off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http import HTTPStatus

from flask import Blueprint, Response, abort
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from services.web.components import components
from services.web.security.sessions import audit
from shared.contract.envelope import valid_id
from shared.database.models import Query
from shared.reading.exports.job_tables import job_csv
from shared.reading.exports.sign_off import sign_off
from shared.reading.jobs import Job, get_job
from shared.reading.query_json import query_json_chunks
from shared.reading.retrieve_json import retrieve_json_chunks
from shared.versions import versions

blueprint = Blueprint("exports", __name__, url_prefix="/jobs")

Chunks = Callable[[Session, Job], Iterator[str] | Iterator[bytes]]


@blueprint.get("/<job_id>/export.csv")
def table(job_id: str) -> ResponseReturnValue:
    """Send the studies of a query, or the objects of a retrieve, as CSV."""
    return _file(job_id, "csv", "text/csv", job_csv)


@blueprint.get("/<job_id>/export.json")
def document(job_id: str) -> ResponseReturnValue:
    """Send a job with all of its result as JSON."""

    def chunks(session: Session, job: Job) -> Iterator[str]:
        make = query_json_chunks if isinstance(job, Query) else retrieve_json_chunks
        return make(session, job.id)

    return _file(job_id, "json", "application/json", chunks)


@blueprint.get("/<job_id>/sign-off.zip")
def record(job_id: str) -> ResponseReturnValue:
    """Send the record of a job: summary, decisions, what is missing or failed, criteria, versions."""
    now = components().clock()
    response = _file(
        job_id, "zip", "application/zip", lambda session, job: sign_off(session, job, versions(), now)
    )
    audit("sign-off exported", job_id=job_id)
    return response


def _file(job_id: str, suffix: str, media_type: str, chunks: Chunks) -> ResponseReturnValue:
    database = components().database
    with database.read() as session:
        job = get_job(session, job_id) if valid_id(job_id) else None
    if job is None:
        abort(HTTPStatus.NOT_FOUND)

    def body() -> Iterator[bytes]:
        with database.read() as session:
            for chunk in chunks(session, job):
                yield chunk.encode() if isinstance(chunk, str) else chunk

    headers = {"Content-Disposition": f'attachment; filename="doseqr-{job_id[:8]}.{suffix}"'}
    return Response(body(), mimetype=media_type, headers=headers)
