"""Recurring queries: list, add, edit, pause, run, history, remove."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from services.web.components import components
from services.web.forms.schedule import ScheduleForm
from services.web.language import gettext, translated
from services.web.security.background import background
from services.web.security.sessions import IMPORTERS, audit, me, requires
from services.web.views.criteria_text import criteria_rows
from services.web.views.time_text import span
from shared.contract.results import ScheduleDetails
from shared.database.models import Schedule
from shared.errors import InvalidInputError
from shared.nodes.nodes import list_nodes
from shared.schedules import ledger
from shared.schedules.ledger import RunInProgressError, Site, site_of
from shared.schedules.results import schedule_json, schedules_json

blueprint = Blueprint("schedules", __name__, url_prefix="/schedules")


@blueprint.get("")
@requires(*IMPORTERS)
def listing() -> ResponseReturnValue:
    """List the recurring queries with their watermarks and last runs."""
    with components().database.read() as session:
        schedules = schedules_json(session, _site(), components().clock())
    lags = {schedule["id"]: _lag(schedule["watermark_lag_s"]) for schedule in schedules}
    return render_template("schedules/list.html", schedules=schedules, lags=lags)


@blueprint.get("/add")
@requires(*IMPORTERS)
def add() -> ResponseReturnValue:
    """Show the form of a new recurring query."""
    with components().database.read() as session:
        form = _form(session)
    form.ignore_known.data = True
    form.at.data = form.at.data or "06:30"
    return _form_page(form)


@blueprint.post("/add")
@requires(*IMPORTERS)
def create() -> ResponseReturnValue:
    """Add a recurring query, in the name of who is logged in."""
    with components().database.read() as session:
        form = _form(session)
    given = form.read()
    if given is not None:
        try:
            with components().database.write() as session:
                schedule = ledger.add_schedule(session, given, me().name, _site(), components().clock())
        except InvalidInputError as error:
            form.refuse(error)
        else:
            audit("schedule added", schedule_id=schedule.id)
            flash(gettext("The recurring query %(name)s is added.", name=schedule.name), "success")
            return redirect(url_for("schedules.show", schedule_id=schedule.id))
    return _form_page(form), HTTPStatus.UNPROCESSABLE_ENTITY


@blueprint.get("/<int:schedule_id>")
@requires(*IMPORTERS)
def show(schedule_id: int) -> ResponseReturnValue:
    """Show a recurring query: its watermark, its next due time, and what its runs brought."""
    return render_template("schedules/show.html", **_shown(schedule_id))


@blueprint.get("/<int:schedule_id>/state")
@background
@requires(*IMPORTERS)
def state(schedule_id: int) -> ResponseReturnValue:
    """Return watermark and runs for an open page."""
    return render_template("schedules/_state.html", **_shown(schedule_id))


@blueprint.get("/<int:schedule_id>/edit")
@requires(*IMPORTERS)
def edit(schedule_id: int) -> ResponseReturnValue:
    """Show the form of a recurring query."""
    with components().database.read() as session:
        schedule = _schedule(session, schedule_id)
        form = _form(session)
        details = schedule_json(session, schedule, _site(), components().clock())
        form.fill(details, schedule.remote_id, schedule.store_id)
    return _form_page(form, details)


@blueprint.post("/<int:schedule_id>/edit")
@requires(*IMPORTERS)
def change(schedule_id: int) -> ResponseReturnValue:
    """Change a recurring query; a run in progress goes on as it began."""
    with components().database.read() as session:
        schedule = _schedule(session, schedule_id)
        form = _form(session)
        details = schedule_json(session, schedule, _site(), components().clock())
    given = form.read(paused=schedule.paused_at is not None)
    if given is not None:
        try:
            with components().database.write() as session:
                row = _schedule(session, schedule_id, lock=True)
                ledger.edit_schedule(session, row, given, _site(), components().clock())
        except InvalidInputError as error:
            form.refuse(error)
        else:
            audit("schedule edited", schedule_id=schedule_id)
            flash(gettext("The recurring query %(name)s is changed.", name=given.name), "success")
            return redirect(url_for("schedules.show", schedule_id=schedule_id))
    return _form_page(form, details), HTTPStatus.UNPROCESSABLE_ENTITY


@blueprint.post("/<int:schedule_id>/pause")
@requires(*IMPORTERS)
def pause(schedule_id: int) -> ResponseReturnValue:
    """Let due times pass without a run."""
    with components().database.write() as session:
        ledger.pause(_schedule(session, schedule_id, lock=True), components().clock())
    audit("schedule paused", schedule_id=schedule_id)
    return redirect(url_for("schedules.show", schedule_id=schedule_id))


@blueprint.post("/<int:schedule_id>/resume")
@requires(*IMPORTERS)
def resume(schedule_id: int) -> ResponseReturnValue:
    """Let it run again from the next due time on."""
    with components().database.write() as session:
        ledger.resume(_schedule(session, schedule_id, lock=True), components().clock())
    audit("schedule resumed", schedule_id=schedule_id)
    return redirect(url_for("schedules.show", schedule_id=schedule_id))


@blueprint.post("/<int:schedule_id>/run")
@requires(*IMPORTERS)
def run(schedule_id: int) -> ResponseReturnValue:
    """Let it run now."""
    try:
        with components().database.write() as session:
            row = _schedule(session, schedule_id, lock=True)
            job_id = ledger.request_run(session, row, me().name, components().clock())
    except RunInProgressError as error:
        flash(gettext("Not begun: %(error)s.", error=translated(error)), "warning")
    else:
        audit("schedule run requested", schedule_id=schedule_id, job_id=job_id)
        flash(gettext("The run begins within a few seconds."), "success")
    return redirect(url_for("schedules.show", schedule_id=schedule_id))


@blueprint.get("/<int:schedule_id>/remove")
@requires(*IMPORTERS)
def confirm_removal(schedule_id: int) -> ResponseReturnValue:
    """Show what a removal means before it is done."""
    with components().database.read() as session:
        return render_template("schedules/remove.html", schedule=_schedule(session, schedule_id))


@blueprint.post("/<int:schedule_id>/remove")
@requires(*IMPORTERS)
def remove(schedule_id: int) -> ResponseReturnValue:
    """Remove a recurring query; its jobs stay."""
    with components().database.write() as session:
        row = _schedule(session, schedule_id, lock=True)
        name = row.name
        ledger.remove_schedule(session, row, components().clock())
    audit("schedule removed", schedule_id=schedule_id)
    flash(gettext("The recurring query %(name)s is removed.", name=name), "success")
    return redirect(url_for("schedules.listing"))


def _site() -> Site:
    return site_of(components().settings)


def _form(session: Session) -> ScheduleForm:
    form = ScheduleForm()
    form.offer(list_nodes(session, "remote"), list_nodes(session, "store"))
    return form


def _form_page(form: ScheduleForm, schedule: ScheduleDetails | None = None) -> str:
    return render_template("schedules/form.html", form=form, schedule=schedule)


def _shown(schedule_id: int) -> dict[str, object]:
    with components().database.read() as session:
        row = _schedule(session, schedule_id)
        schedule = schedule_json(session, row, _site(), components().clock())
    rows = [(label, text) for label, text in criteria_rows(schedule["criteria"]) if label != "Study dates"]
    return {
        "schedule": schedule,
        "criteria": rows,
        "lag": _lag(schedule["watermark_lag_s"]),
        "watermark": datetime.fromisoformat(schedule["watermark"]),
        "running": bool(schedule["run_requested_at"])
        or any(run["status"] == "running" for run in schedule["runs"]),
    }


def _lag(seconds: int) -> str:
    """Return how far the watermark lies behind, in words."""
    return (
        gettext("%(duration)s ago", duration=span(seconds))
        if seconds >= 0
        else gettext("begins in %(duration)s", duration=span(-seconds))
    )


def _schedule(session: Session, schedule_id: int, *, lock: bool = False) -> Schedule:
    try:
        return ledger.find_schedule(session, schedule_id, lock=lock)
    except ledger.UnknownScheduleError:
        abort(HTTPStatus.NOT_FOUND)
