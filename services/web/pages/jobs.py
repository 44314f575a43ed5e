"""The list of jobs, and the page of a job with its decisions and reasons."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import ValidationError
from sqlalchemy.orm import Session

from services.web.commands.publish import publish_command
from services.web.components import components, is_limited
from services.web.language import gettext, translated
from services.web.live.event_stream import MAX_FOLLOWED
from services.web.pending_commands import PendingCommand
from services.web.security.background import background
from services.web.security.sessions import IMPORTERS, me, requires
from services.web.views import studies
from services.web.views.job.course import Copies, copies_of, timeline_of
from services.web.views.job.dose_table import dose_rows, used_columns
from services.web.views.job_list import choices, job_list
from services.web.views.job_panel import POLL_ENDED_S, POLL_INTERVAL_S, panel
from shared.contract.criteria import TYPE_ORDER
from shared.contract.envelope import new_id, valid_id
from shared.contract.messages import (
    ENDED,
    AskAgain,
    CancelJob,
    PauseJob,
    RaiseJob,
    ResumeJob,
    RunRetrieve,
)
from shared.contract.text import Content
from shared.database.models import Query, Retrieve
from shared.errors import InvalidInputError
from shared.reading.exports.dose_figures_csv import csv_lines
from shared.reading.jobs import Job, get_job
from shared.reading.lists.published_commands import published_kind
from shared.reading.query_json import by_type
from shared.reading.store.handovers import handover_of
from shared.reading.summaries import report_counts, summaries
from shared.reading.why import why

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs")

#: Most dose reports on the page; the export has all.
REPORTS_SHOWN = 100


@blueprint.get("")
def listing() -> ResponseReturnValue:
    """List jobs as the address has it: which, in which order, from where on."""
    with components().database.read() as session:
        return render_template("jobs/list.html", **choices(session), **_listed(session))


@blueprint.get("/rows")
@background
def rows() -> ResponseReturnValue:
    """Return the rows of the list for an open page."""
    with components().database.read() as session:
        return render_template("jobs/_list.html", **_listed(session))


def _listed(session: Session) -> dict[str, object]:
    listed = job_list(session, components(), request.args)
    return {
        "listed": listed,
        "follow": listed.running[:MAX_FOLLOWED],
        "every_s": POLL_INTERVAL_S if listed.running else POLL_ENDED_S,
        "address": {name: value for name, value in request.args.items() if name != "page"},
    }


@blueprint.get("/<job_id>")
def detail(job_id: str) -> ResponseReturnValue:
    """Show one job."""
    with components().database.read() as session:
        job = get_job(session, job_id) if valid_id(job_id) else None
        if (
            job is None
            and components().pending_commands.get(job_id) is None
            and (is_limited() or components().live.event_results.rejection(job_id) is None)
            and not (valid_id(job_id) and _is_pending(session, job_id))
        ):
            abort(HTTPStatus.NOT_FOUND)
        shown = panel(session, components(), job_id)
        return render_template(
            "jobs/job.html",
            job=job,
            query=session.get(Query, job.query_id) if isinstance(job, Retrieve) else job,
            panel=shown,
            back="job",
            **_details(session, job),
            **_page(session, job),
        )


@blueprint.get("/<job_id>/about")
@background
def about(job_id: str) -> ResponseReturnValue:
    """Return what stands beside the panel of a job, for an open page."""
    return _fragment(job_id, "jobs/_about.html")


@blueprint.get("/<job_id>/results")
@background
def results(job_id: str) -> ResponseReturnValue:
    """Return what did not arrive and the dose reports of a retrieve, for an open page."""
    return _fragment(job_id, "jobs/_results.html")


def _fragment(job_id: str, template: str) -> str:
    if not valid_id(job_id):
        abort(HTTPStatus.NOT_FOUND)
    with components().database.read() as session:
        job = get_job(session, job_id)
        shown = panel(session, components(), job_id)
        return render_template(template, job=job, panel=shown, **_details(session, job))


def _page(session: Session, job: Job | None) -> dict[str, object]:
    return _studies(session, job) if isinstance(job, Query) else {}


def _details(session: Session, job: Job | None) -> dict[str, object]:
    if isinstance(job, Retrieve):
        rows = dose_rows(summaries(session, job.id, limit=REPORTS_SHOWN))
        counts = report_counts(session, job.id)
        return {
            "lost": studies.missing_of_retrieve(session, job),
            "timeline": timeline_of(job),
            "reports": rows,
            "dose_columns": used_columns(rows),
            "number_of_reports": counts.reports,
            "unread": counts.unread,
            "handover": handover_of(session, job.id),
        }
    if isinstance(job, Query):
        retrieves = studies.retrieves_of(session, job.id)
        return {
            "missing": studies.missing_of_query(session, job),
            "retrieves": retrieves,
            "timeline": timeline_of(job, retrieves),
            "copies": _copies(job),
        }
    return {}


def _copies(job: Query) -> Copies:
    return copies_of(
        job.id,
        job.remote_name,
        job.store_name,
        job.criteria,
        retrieve=job.retrieve_after,
        address=request.url_root,
    )


def _studies(session: Session, job: Query) -> dict[str, object]:
    return {"page": studies.study_list(session, job, request.args), "types": TYPE_ORDER}


@blueprint.get("/<job_id>/reports.csv")
def reports(job_id: str) -> ResponseReturnValue:
    """Send the figures of a retrieve's dose reports as CSV."""
    database = components().database
    with database.read() as session:
        job = get_job(session, job_id) if valid_id(job_id) else None
    if not isinstance(job, Retrieve):
        abort(HTTPStatus.NOT_FOUND)

    def lines() -> Iterator[str]:
        with database.read() as session:
            yield from csv_lines(session, job_id)

    headers = {"Content-Disposition": f'attachment; filename="doseqr-{job_id[:8]}.csv"'}
    return Response(lines(), mimetype="text/csv", headers=headers)


@blueprint.get("/<job_id>/fragment")
@background
def fragment(job_id: str) -> ResponseReturnValue:
    """Return the panel of a job for an open page."""
    if not valid_id(job_id):
        abort(HTTPStatus.NOT_FOUND)
    back = "job" if request.args.get("back") == "job" else "query"
    with components().database.read() as session:
        return render_template("jobs/_panel.html", panel=panel(session, components(), job_id), back=back)


@blueprint.get("/<job_id>/studies")
@background
def studies_fragment(job_id: str) -> ResponseReturnValue:
    """Return a page of studies, for an open page whose query has ended."""
    with components().database.read() as session:
        job = _query(session, job_id)
        return render_template("jobs/_studies.html", job=job, **_studies(session, job))


@blueprint.get("/<job_id>/studies/<study_instance_uid>")
def study(job_id: str, study_instance_uid: str) -> ResponseReturnValue:
    """Explain one study; `?part=1` without the frame of a page."""
    with components().database.read() as session:
        job = get_job(session, job_id) if valid_id(job_id) else None
        if job is None:
            abort(HTTPStatus.NOT_FOUND)
        try:
            explained = why(session, job, study_instance_uid)
        except InvalidInputError:
            abort(HTTPStatus.NOT_FOUND)
    template = "jobs/_why.html" if request.args.get("part") else "jobs/study.html"
    return render_template(template, job=job, why=explained)


@blueprint.post("/<job_id>/cancel")
@requires(*IMPORTERS)
def cancel(job_id: str) -> ResponseReturnValue:
    """Publish the cancellation of a job."""
    command = CancelJob(job_id=_known(job_id), requested_by=me().name)
    return _steer(
        command, "cancel", gettext("The cancellation is requested. What was found or has arrived stays.")
    )


@blueprint.post("/<job_id>/pause")
@requires(*IMPORTERS)
def pause(job_id: str) -> ResponseReturnValue:
    """Publish that a job is to rest."""
    command = PauseJob(job_id=_known(job_id), requested_by=me().name)
    return _steer(command, "pause", gettext("The pause is requested. Nothing of the job fails by it."))


@blueprint.post("/<job_id>/resume")
@requires(*IMPORTERS)
def resume(job_id: str) -> ResponseReturnValue:
    """Publish that a paused job is to go on."""
    command = ResumeJob(job_id=_known(job_id), requested_by=me().name)
    return _steer(command, "resume", gettext("The job is to go on where it was."))


@blueprint.post("/<job_id>/raise")
@requires(*IMPORTERS)
def raise_priority(job_id: str) -> ResponseReturnValue:
    """Publish that a job is to go before others."""
    command = RaiseJob(job_id=_known(job_id), requested_by=me().name)
    return _steer(
        command, "raise", gettext("The job goes before all others of its node, until it has ended.")
    )


def _known(job_id: str) -> str:
    if not valid_id(job_id):
        abort(HTTPStatus.NOT_FOUND)
    return job_id


def _steer(
    command: CancelJob | PauseJob | ResumeJob | RaiseJob, action: str, requested: str
) -> ResponseReturnValue:
    """Publish a command for a job that has not ended, and return to the page of its button.

    A job that no worker has taken yet gets it as soon as one takes it.
    """
    job_id = command.job_id
    with components().database.read() as session:
        job = get_job(session, job_id)
        is_pending = job is None and _is_pending(session, job_id)
    if job is None and not is_pending:
        abort(HTTPStatus.NOT_FOUND)
    if job is not None and job.status in ENDED:
        flash(gettext("The job has ended already; it is %(status)s.", status=translated(job.status)), "info")
    elif publish_command(command, action, job_id=job_id):
        components().pending_commands.note_order(job_id, action)
        flash(requested, "info")
    return redirect(_back(job_id))


def _is_pending(session: Session, job_id: str) -> bool:
    """Return whether the command of a job was published, here or by another replica of the page."""
    pending = components().pending_commands.get(job_id)
    if pending is not None:
        return not pending.again
    return published_kind(session, job_id, components().clock()) is not None


@blueprint.post("/<job_id>/again")
@requires(*IMPORTERS)
def again(job_id: str) -> ResponseReturnValue:
    """Request what is missing of an ended job: a query continues, a retrieve is published anew."""
    with components().database.read() as session:
        job = get_job(session, job_id) if valid_id(job_id) else None
    if job is None:
        abort(HTTPStatus.NOT_FOUND)
    if job.status not in ENDED:
        flash(gettext("The job has not ended yet; it is %(status)s.", status=translated(job.status)), "info")
        return redirect(_back(job_id))
    if job.status == "completed":
        flash(gettext("Nothing is missing."), "info")
        return redirect(_back(job_id))
    command_id = _publish_again(job)
    shown = request.form.get("panel") or job_id
    # The page of a retrieve gives way to that of the new one; others show it by themselves.
    is_its_own = isinstance(job, Retrieve) and shown == job_id
    return redirect(_back(command_id if command_id and is_its_own else shown))


def _publish_again(job: Job) -> str | None:
    command_id = new_id()
    if isinstance(job, Retrieve):
        remembered = PendingCommand("retrieve", query_id=job.query_id)
    else:
        remembered = PendingCommand("asking again", again=job.id, round=job.round)
    components().pending_commands.remember(command_id, remembered)
    published_id = publish_command(
        AskAgain(job_id=job.id, requested_by=me().name), "again", command_id, job_id=job.id
    )
    if published_id is None:
        components().pending_commands.forget(command_id)
    return published_id


@blueprint.post("/<job_id>/retrieve")
@requires(*IMPORTERS)
def retrieve(job_id: str) -> ResponseReturnValue:
    """Publish the retrieve of what a query kept, or of the ticked types or studies."""
    if "single" in request.form:
        return _retrieve_studies(job_id)
    with components().database.read() as session:
        query = _query(session, job_id)
        kept = set(by_type(session, query.id))
    ticked = {name for name in request.form.getlist("types") if name in kept}
    if not ticked:
        flash(gettext("Tick at least one type to retrieve."), "warning")
        return redirect(_back(job_id))
    types = [] if ticked == kept else [name for name in TYPE_ORDER if name in ticked]
    command = RunRetrieve(query_id=job_id, types=types, content=_content(), requested_by=me().name)
    _publish_retrieve(command)
    return redirect(_back(job_id))


def _content() -> Content | None:
    """Return what was chosen for images whose header carries the dose; None: as the node is set up."""
    chosen = request.form.get("content", "")
    if chosen not in ("", "whole", "headers"):
        abort(HTTPStatus.BAD_REQUEST)
    return "headers" if chosen == "headers" else "whole" if chosen else None


def _retrieve_studies(job_id: str) -> ResponseReturnValue:
    with components().database.read() as session:
        _query(session, job_id)
    ticked = request.form.getlist("study")
    if not ticked:
        flash(gettext("Tick at least one study to retrieve."), "warning")
        return redirect(_back(job_id))
    try:
        command = RunRetrieve(query_id=job_id, study_instance_uids=ticked, requested_by=me().name)
    except ValidationError:
        abort(HTTPStatus.BAD_REQUEST)
    _publish_retrieve(command)
    return redirect(_back(job_id))


def _publish_retrieve(command: RunRetrieve) -> None:
    retrieve_id, query_id = new_id(), command.query_id
    components().pending_commands.remember(retrieve_id, PendingCommand("retrieve", query_id=query_id))
    about = {"query_id": query_id, "types": command.types, "studies": len(command.study_instance_uids)}
    if publish_command(command, "retrieve", retrieve_id, job_id=retrieve_id, **about) is None:
        components().pending_commands.forget(retrieve_id)


def _query(session: Session, job_id: str) -> Query:
    query = session.get(Query, job_id) if valid_id(job_id) else None
    if query is None:
        abort(HTTPStatus.NOT_FOUND)
    return query


def _back(job_id: str) -> str:
    """Return the page on which the button was."""
    wanted = request.form.get("back")
    if wanted == "query":
        return url_for("query.form", job=request.form.get("panel") or job_id, _anchor="progress")
    return url_for("jobs.listing") if wanted == "list" else url_for("jobs.detail", job_id=job_id)
