"""How a log-in goes on once the password was right, and how it ends."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from flask import redirect, session, url_for
from flask.typing import ResponseReturnValue

from services.web.components import components
from services.web.security.kept_form import clear_session
from services.web.security.sessions import audit, begin_session, logged_in
from shared.database.models import User

#: Time for the second step of a log-in.
SECOND_STEP_LIFE = timedelta(minutes=10)

_SECOND_STEP = "second_step"


def begin_second_step(user: User, now: datetime) -> None:
    """Remember in the cookie that the password was right; nobody is logged in yet."""
    clear_session()
    session[_SECOND_STEP] = [user.id, logged_in(user).proof, now.timestamp()]


def user_in_second_step() -> User | None:
    """Return whose password was right, if that was not long ago and their sessions have not been ended."""
    try:
        user_id, proof, began_at = session[_SECOND_STEP]
    except (KeyError, TypeError, ValueError):
        return None
    passed_s = components().clock().timestamp() - began_at
    if not 0 <= passed_s < SECOND_STEP_LIFE.total_seconds():
        return None
    with components().database.read() as database:
        user = database.get(User, user_id)
    if user is None or user.disabled_at is not None or user.second_factor_since is None:
        return None
    return user if hmac.compare_digest(logged_in(user).proof, proof) else None


def complete_log_in(user_id: int, wanted: str, **about: object) -> ResponseReturnValue:
    """Begin the session of a user whose log-in is complete, and lead to where they wanted to go."""
    now = components().clock()
    with components().database.write() as database:
        user = database.get_one(User, user_id)
        user.last_login_at = now
    begin_session(user, now)
    audit("log-in", role=user.role, **about)
    return redirect(_own(wanted))


def _own(address: str) -> str:
    """Return the address to go on to: one of ours, or the start page."""
    split = urlsplit(address)
    ours = address.startswith("/") and not address.startswith(("//", "/\\")) and not split.netloc
    return address if ours and address.isprintable() else url_for("auth.home")
