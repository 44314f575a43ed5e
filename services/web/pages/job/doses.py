"""The dose reports of a retrieve, sorted by a figure."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

from services.web.components import components
from services.web.views.job.dose_table import COLUMNS, dose_rows, sorted_by, used_columns
from shared.contract.envelope import valid_id
from shared.database.models import Query, Retrieve
from shared.reading.summaries import report_counts, summaries

blueprint = Blueprint("doses", __name__, url_prefix="/jobs")

#: Reports of a page, and those that are read to be sorted; the export has all.
PAGE, MOST_SORTED = 100, 5000


@blueprint.get("/<job_id>/doses")
def show(job_id: str) -> ResponseReturnValue:
    """Show the figures of all reports, the largest of a column first."""
    with components().database.read() as session:
        retrieve = session.get(Retrieve, job_id) if valid_id(job_id) else None
        if retrieve is None:
            abort(HTTPStatus.NOT_FOUND)
        total = report_counts(session, job_id).reports
        number = request.args.get("page", 1, type=int)
        pages = max(1, -(-min(total, MOST_SORTED) // PAGE))
        if not 1 <= number <= pages:
            abort(HTTPStatus.NOT_FOUND)
        begin = (number - 1) * PAGE
        sort = request.args.get("sort", "")
        if sort in COLUMNS:
            every = dose_rows(summaries(session, job_id, limit=MOST_SORTED))
            columns, rows = used_columns(every), sorted_by(every, sort)[begin : begin + PAGE]
        else:
            rows = dose_rows(summaries(session, job_id, limit=PAGE, skip=begin))
            columns = used_columns(rows)
        query = session.get(Query, retrieve.query_id)
    return render_template(
        "job/doses.html",
        job=retrieve,
        query=query,
        rows=rows,
        columns=columns,
        sort=sort,
        number=number,
        pages=pages,
        total=total,
        left_out=max(0, total - MOST_SORTED),
    )
