"""The audit trail: a log line and a row for each change, with who made it and from where."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from flask import request

from services.web.components import components
from shared.database.models import AuditEntry
from shared.errors import DatabaseAwayError

log = structlog.get_logger(__name__)

#: What changed nothing is only logged, or whoever repeats it could fill the database.
LOGGED_ONLY = frozenset({"refused", "form token refused", "log-in refused", "sign-off exported"})

#: Characters of a value in a row; ids, names and reasons are far shorter.
MAX_VALUE_LENGTH = 200


def record_audit(action: str, user: str, details: Mapping[str, object], *, token: str = "") -> None:
    """Log who did what, and write a row of it; `details` holds ids, names and counts, no patient data.

    What nobody known did is only logged: a stranger must not be able to fill the database.
    """
    address = request.remote_addr or ""
    extra = {"token": token} if token else {}
    log.info("audit", action=action, user=user, remote_address=address, **extra, **details)
    if not user or action in LOGGED_ONLY:
        return
    entry = AuditEntry(
        at=components().clock(),
        action=action[:64],
        user=user[:64],
        token=token[:64],
        remote_address=address[:64],
        details={name: _plain(value) for name, value in details.items()},
    )
    try:
        with components().database.write() as session:
            session.add(entry)
    except DatabaseAwayError as error:
        # What was done is done, and the log has it.
        log.warning("audit entry not written", action=action, error=str(error))


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [str(item)[:MAX_VALUE_LENGTH] for item in value[:20]]
    return str(value)[:MAX_VALUE_LENGTH]
