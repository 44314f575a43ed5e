"""Charts of a query: its studies by day and type and by reason, and how fast the PACS responded."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue

from services.web.components import components
from services.web.views.job.charts import HEIGHT, WIDTH, reason_bars, response_times, studies_by_day
from shared.contract.envelope import valid_id
from shared.database.models import Query
from shared.reading.lists.pages import find_durations
from shared.reading.lists.study_search import studies_by_date

blueprint = Blueprint("charts", __name__, url_prefix="/jobs")


@blueprint.get("/<job_id>/charts")
def show(job_id: str) -> ResponseReturnValue:
    """Show the charts of a query."""
    with components().database.read() as session:
        query = session.get(Query, job_id) if valid_id(job_id) else None
        if query is None:
            abort(HTTPStatus.NOT_FOUND)
        counts = components().counts.of(session, query)
        days = studies_by_day(studies_by_date(session, query.id))
        times = response_times(find_durations(session, query.id))
    return render_template(
        "job/charts.html",
        job=query,
        query=query,
        days=days,
        reasons=reason_bars(counts.kept, counts.dropped),
        times=times,
        width=WIDTH,
        height=HEIGHT,
    )
