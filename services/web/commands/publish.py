"""Publishing the commands of the pages; a failure is shown on the next page."""

from __future__ import annotations

from flask import flash

from services.web.components import components
from services.web.language import gettext
from services.web.security.sessions import audit
from shared.contract.envelope import new_id
from shared.contract.messages import Command
from shared.errors import BrokerAwayError, UnroutableError


def publish_command(
    command: Command, action: str, command_id: str | None = None, **about: object
) -> str | None:
    """Publish a command; returns its id, or None if the broker is away, which the next page shows.

    `about` goes to the audit log beside the id; a command without an action is no person's, and not audited.
    """
    service_status, command_id = components().service_status, command_id or new_id()
    if not service_status.current().broker_away:
        try:
            components().publisher.command(command, command_id=command_id)
        except (BrokerAwayError, UnroutableError) as error:
            _audit(action, command_id=command_id, outcome=type(error).__name__, **about)
            flash(
                gettext("The message broker did not take the command, so nothing was begun. Try again."),
                "danger",
            )
            return None
        _audit(action, command_id=command_id, outcome="published", **about)
        return command_id
    _audit(action, command_id=command_id, outcome="broker away", **about)
    for complaint in service_status.complaints():
        flash(complaint.text, "danger")
    return None


def _audit(action: str, **about: object) -> None:
    if action:
        audit(action, **about)
