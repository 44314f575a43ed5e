"""How the system stands: queues, workers, disk, versions, and messages that nobody could handle."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from services.web.api.problems import ProblemError
from services.web.api.routes.dead_letters import (
    DeadLettersQuery,
    explain_dead_letter,
    list_dead_letters,
)
from services.web.api.routes.system import read_system
from services.web.components import components
from services.web.language import gettext, translated
from services.web.security.background import background
from services.web.security.sessions import ADMINS, audit, requires
from shared.errors import BrokerAwayError, UnroutableError
from shared.versions import versions

blueprint = Blueprint("system", __name__, url_prefix="/system")

#: Dead letters on the page.
SHOWN = 50


@blueprint.get("")
@requires(*ADMINS)
def show() -> ResponseReturnValue:
    """Show how the system stands."""
    return render_template("admin/system.html", **_content())


@blueprint.get("/part")
@background
@requires(*ADMINS)
def part() -> ResponseReturnValue:
    """Return how the system stands, for an open page."""
    return render_template("admin/_system.html", **_content())


@blueprint.get("/dead-letters/<dead_letter>")
@requires(*ADMINS)
def explain(dead_letter: str) -> ResponseReturnValue:
    """Explain a message that nobody could handle."""
    try:
        letter = explain_dead_letter(dead_letter)
    except ProblemError:
        abort(HTTPStatus.NOT_FOUND)
    except BrokerAwayError:
        flash(gettext("The message broker cannot be reached."), "danger")
        return redirect(url_for("system.show"))
    return render_template("admin/dead_letter.html", letter=letter)


@blueprint.post("/dead-letters/<dead_letter>/replay")
@requires(*ADMINS)
def replay(dead_letter: str) -> ResponseReturnValue:
    """Publish a message again as it was."""
    try:
        done = components().broker.replay_dead_letter(dead_letter)
    except (BrokerAwayError, UnroutableError) as error:
        flash(gettext("It was not replayed: %(error)s.", error=translated(error)), "danger")
        return redirect(url_for("system.show"))
    if done:
        audit("dead letter replayed", dead_letter=dead_letter)
        flash(gettext("The message is published again."), "success")
    return _gone_unless(done)


@blueprint.post("/dead-letters/<dead_letter>/drop")
@requires(*ADMINS)
def drop(dead_letter: str) -> ResponseReturnValue:
    """Remove a message for ever."""
    try:
        done = components().broker.drop_dead_letter(dead_letter)
    except BrokerAwayError as error:
        flash(gettext("It was not dropped: %(error)s.", error=translated(error)), "danger")
        return redirect(url_for("system.show"))
    if done:
        audit("dead letter dropped", dead_letter=dead_letter)
        flash(gettext("The message is dropped."), "success")
    return _gone_unless(done)


def _gone_unless(done: bool) -> ResponseReturnValue:
    if not done:
        flash(gettext("There is no such dead letter; it may have been replayed or dropped."), "info")
    return redirect(url_for("system.show"))


def _content() -> dict[str, object]:
    try:
        letters = list_dead_letters(DeadLettersQuery(limit=SHOWN))
    except BrokerAwayError:
        letters = None
    return {
        "system": read_system(),
        "versions": versions(),
        "letters": letters,
        "workers": components().live.event_results.workers(),
    }
