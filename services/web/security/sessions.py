"""Who is logged in, what their role allows, and the sessions that carry it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from http import HTTPStatus
from typing import ParamSpec, TypeVar, cast

from flask import Flask, abort, flash, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, current_user, login_user

from services.web.components import components, is_hidden, set_scope
from services.web.language import gettext
from services.web.live.event_stream import MAX_FOLLOWED
from services.web.security.audit_trail import record_audit
from services.web.security.background import in_background
from services.web.security.kept_form import clear_session, keep_form
from shared.contract.envelope import valid_id
from shared.database.models import User
from shared.errors import DatabaseAwayError
from shared.users.accounts import ROLES
from shared.users.node_groups import scope_of
from shared.users.node_scope import NodeScope

P = ParamSpec("P")
R = TypeVar("R")

#: Whoever may query and retrieve, and whoever may change nodes and users.
IMPORTERS, ADMINS = ("importer", "admin"), ("admin",)

#: Pages for which nobody has to be logged in.
_PUBLIC = {
    "auth.login",
    "auth.log_in",
    "bootstrap.static",
    "health.live",
    "health.ready",
    "provider_log_in.begin",
    "provider_log_in.callback",
    "second_step.check",
    "second_step.form",
    "static",
}
#: Pages for somebody who has to change the password first.
_BEFORE_CHANGE = {"auth.password", "auth.change_password", "auth.logout"}
#: Pages for somebody who has to set up a second factor first.
_BEFORE_SECOND_FACTOR = _BEFORE_CHANGE | {"second_factor.show", "second_factor.set_up"}
#: Roles for which DOSEQR_REQUIRE_SECOND_FACTOR demands a second factor.
_SECOND_FACTOR_OF = {"none": (), "admins": ADMINS, "all": ROLES}
#: Arguments of addresses that hold the ids of jobs.
_JOB_ARGUMENTS = ("job", "like", "follow")
#: A session ends without a request of its user for IDLE (polls of an open page do not count), and ABSOLUTE
#: after the log-in in any case (OWASP ASVS 4.0.3, 3.3.2).
IDLE, ABSOLUTE = timedelta(hours=8), timedelta(hours=12)
_BEGAN_AT = "began_at"


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A user as Flask-Login knows one."""

    id: int
    name: str
    role: str
    must_change_password: bool
    proof: str
    #: Whether the account has a password here; otherwise an OpenID provider knows its user.
    is_local: bool
    has_second_factor: bool
    must_set_up_second_factor: bool
    #: None: all nodes.
    scope: NodeScope | None

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        """Return what the session holds: the id, and a proof that it has not been ended."""
        return f"{self.id}.{self.proof}"

    @property
    def is_ready(self) -> bool:
        """Whether nothing has to be changed or set up before anything else."""
        return not (self.must_change_password or self.must_set_up_second_factor)

    @property
    def imports(self) -> bool:
        """Whether this user may query and retrieve."""
        return self.role in IMPORTERS

    @property
    def administers(self) -> bool:
        """Whether this user may change nodes and users."""
        return self.role in ADMINS


def logged_in(user: User) -> LoggedIn:
    """Return a user of the database as one who is logged in."""
    proof = hashlib.sha256(user.session_token.encode()).hexdigest()
    is_local, has_second_factor = user.oidc_subject is None, user.second_factor_since is not None
    demanded = user.role in _SECOND_FACTOR_OF[components().settings.require_second_factor]
    return LoggedIn(
        user.id,
        user.name,
        user.role,
        user.must_change_password,
        proof,
        is_local,
        has_second_factor,
        must_set_up_second_factor=demanded and is_local and not has_second_factor,
        scope=scope_of(user),
    )


def begin_session(user: User, now: datetime) -> None:
    """Log a user in; nothing of an earlier session stays but a form that was sent too late."""
    clear_session()
    session.permanent = True
    session[_BEGAN_AT] = now.timestamp()
    login_user(logged_in(user))


def me() -> LoggedIn:
    """Return who is logged in; only for pages that require a role or a log-in."""
    return cast("LoggedIn", current_user)


def requires(*roles: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only these roles reach a page; others get 403."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if me().role not in roles:
                audit("refused", endpoint=request.endpoint or "")
                abort(HTTPStatus.FORBIDDEN)
            return view(*args, **kwargs)

        return guarded

    return decorate


def audit(action: str, **fields: object) -> None:
    """Log who did what, and from where, and write it to the audit trail."""
    record_audit(action, _name(), fields)


def init_auth(app: Flask) -> None:
    """Let only people who are logged in reach any page that is not public."""
    manager = LoginManager(app)
    manager.session_protection = (
        None  # addresses change on the move; the cookie is signed and bound to the password
    )
    manager.user_loader(_load)
    app.session_interface = _Sessions()
    app.before_request(_guard)


def _load(text: str) -> LoggedIn | None:
    number, _, proof = text.partition(".")
    if not number.isdecimal() or not _is_young():
        return None
    try:
        with components().database.read() as database:
            user = database.get(User, int(number))
    except DatabaseAwayError as error:
        # Nobody is logged out by this, and the page of that error is made without another try.
        g.database_away = error
        return None
    if user is None or user.disabled_at is not None:
        return None
    found = logged_in(user)
    return found if hmac.compare_digest(found.proof, proof) else None


def _is_young() -> bool:
    began_at = session.get(_BEGAN_AT)
    if not isinstance(began_at, int | float):
        return False
    return 0 <= components().clock().timestamp() - began_at < ABSOLUTE.total_seconds()


def _guard() -> ResponseReturnValue | None:
    # The API requires a token itself; a session counts for nothing there.
    if request.endpoint is None or request.endpoint in _PUBLIC or request.blueprint == "api":
        return None
    if not current_user.is_authenticated:
        if "database_away" in g:
            raise g.database_away
        if in_background():
            abort(HTTPStatus.UNAUTHORIZED)
        if (kept := keep_form()) is not None:
            return kept
        if request.path != "/":
            flash(gettext("Log in to go on."), "info")
        wanted = request.full_path.rstrip("?") if request.method == "GET" else None
        return redirect(url_for("auth.login", next=wanted if wanted != "/" else None))
    set_scope(me().scope)
    if me().scope is not None and any(is_hidden(job_id) for job_id in _named_jobs() if valid_id(job_id)):
        abort(HTTPStatus.NOT_FOUND)
    if me().must_change_password and request.endpoint not in _BEFORE_CHANGE:
        return _first("auth.password")
    if me().must_set_up_second_factor and request.endpoint not in _BEFORE_SECOND_FACTOR:
        return _first("second_factor.show")
    return None


def _named_jobs() -> list[str]:
    """Return the ids of jobs in the address: also of such as a page would take for not begun yet."""
    named = [str((request.view_args or {}).get("job_id", ""))]
    return named + [job_id for name in _JOB_ARGUMENTS for job_id in request.args.getlist(name)[:MAX_FOLLOWED]]


def _first(endpoint: str) -> ResponseReturnValue:
    if in_background():
        abort(HTTPStatus.FORBIDDEN)
    return redirect(url_for(endpoint))


def _name() -> str:
    return me().name if current_user and current_user.is_authenticated else ""


class _Sessions(SecureCookieSessionInterface):
    """Sessions whose idle time is measured by what their user does."""

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        """Renew the cookie's age unless the page sent the request by itself."""
        if request and in_background():
            return session.modified
        return super().should_set_cookie(app, session)
