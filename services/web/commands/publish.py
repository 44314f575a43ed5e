"""Handing orders of people to the services by message, and saying so where that cannot be done."""

from __future__ import annotations

from flask import flash

from services.web.components import parts
from services.web.security.sessions import audit
from shared.contract.envelope import new_id
from shared.contract.messages import Command
from shared.errors import BrokerAwayError, UnroutableError


def order(command: Command, action: str, command_id: str | None = None, **about: object) -> str | None:
    """Publish a command; returns its id, or None if the broker is away, which the next page then says.

    `about` goes to the audit log beside the id.
    """
    staffing, command_id = parts().staffing, command_id or new_id()
    if not staffing.look().broker_away:
        try:
            parts().publisher.command(command, command_id=command_id)
        except (BrokerAwayError, UnroutableError) as error:
            audit(action, command_id=command_id, outcome=type(error).__name__, **about)
            flash("The message broker did not take the order, so nothing was begun. Try again.", "danger")
            return None
        audit(action, command_id=command_id, outcome="ordered", **about)
        return command_id
    audit(action, command_id=command_id, outcome="broker away", **about)
    for complaint in staffing.complaints():
        flash(complaint.text, "danger")
    return None
