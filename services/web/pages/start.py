"""The start page: what runs now, what needs a hand, and what the last night brought."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from services.web.components import components
from services.web.live.event_stream import MAX_FOLLOWED
from services.web.security.background import background
from services.web.views.job_panel import POLL_ENDED_S, POLL_INTERVAL_S
from shared.node_access.limits import parse_zone
from shared.reading.lists.attention import dead_nodes, incomplete_jobs, period, running_jobs
from shared.schedules.ledger import site_of
from shared.schedules.results import schedules_json

blueprint = Blueprint("start", __name__, url_prefix="/start")

#: How long a job that lacks something stays on the page.
LACKING_FOR = timedelta(days=7)
#: The night, in the time zone of the site.
EVENING, MORNING = time(18), time(8)


@blueprint.get("")
def show() -> ResponseReturnValue:
    """Show the start page."""
    return render_template("start/show.html", **_state())


@blueprint.get("/state")
@background
def state() -> ResponseReturnValue:
    """Return what changes on it, for an open page."""
    return render_template("start/_state.html", **_state())


def _state() -> dict[str, object]:
    parts, now = components(), components().clock()
    evening, morning = last_night(now, parts.settings.time_zone)
    with parts.database.read() as session:
        running = running_jobs(session)
        schedules = schedules_json(session, site_of(parts.settings), now)
        found = {
            "running": running,
            "lacking": incomplete_jobs(session, now - LACKING_FOR),
            "dead": dead_nodes(session),
            "night": period(session, evening, morning),
            "schedules": [schedule for schedule in schedules if schedule["last_run"] is not None],
        }
    follow = [entry.job.id for entry in running][:MAX_FOLLOWED]
    return {**found, "follow": follow, "every_s": POLL_INTERVAL_S if running else POLL_ENDED_S}


def last_night(now: datetime, zone_name: str) -> tuple[datetime, datetime]:
    """Return evening and morning of the last night; the present one if it is night now."""
    zone = parse_zone(zone_name)
    today = now.astimezone(zone).date()
    if now.astimezone(zone).time() >= EVENING:
        today += timedelta(days=1)
    evening = datetime.combine(today - timedelta(days=1), EVENING, tzinfo=zone)
    morning = datetime.combine(today, MORNING, tzinfo=zone)
    return evening.astimezone(UTC), min(morning.astimezone(UTC), max(now, evening.astimezone(UTC)))
