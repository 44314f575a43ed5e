"""Log-in, log-out, password."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from services.web.components import components
from services.web.forms.fields import LoginForm, PasswordForm
from services.web.login_limit import PauseRequiredError
from services.web.pages.errors import too_many_attempts
from services.web.security.sessions import audit, begin_session, me
from shared.database.models import User
from shared.errors import InvalidInputError
from shared.users.accounts import NAME_MAX_LENGTH, check_password, end_sessions, record_log_in, set_password

blueprint = Blueprint("auth", __name__)


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """Lead to where this user begins."""
    return redirect(url_for("query.form" if me().imports else "jobs.listing"))


@blueprint.get("/login")
def login() -> ResponseReturnValue:
    """Show the form of the log-in."""
    if current_user.is_authenticated:
        return redirect(url_for("auth.home"))
    return render_template("auth/login.html", form=LoginForm())


@blueprint.post("/login")
def log_in() -> ResponseReturnValue:
    """Log in."""
    form = LoginForm()
    name, password = form.name.data or "", form.password.data or ""
    try:
        user = _checked(name, password)
    except PauseRequiredError as error:
        audit("log-in refused", name=_shown(name), reason="too many attempts")
        return too_many_attempts(error.pause_s)
    if user is None:
        audit("log-in refused", name=_shown(name), reason="wrong name or password")
        form.complain("", "User name or password is wrong.")
        return render_template("auth/login.html", form=form), HTTPStatus.UNPROCESSABLE_ENTITY
    _record_log_in(user.id, password)
    begin_session(user, components().clock())
    audit("log-in", role=user.role)
    return redirect(_wanted(request.args.get("next", "")))


def _checked(name: str, password: str) -> User | None:
    """Return the user if name and password are right.

    Raises:
        PauseRequiredError: the account or the address has failed too often.
    """
    # PostgreSQL takes no NUL, and no name of ours holds one.
    if len(name) > NAME_MAX_LENGTH or not name.isprintable():
        name = ""
    with components().login_limit.attempt(name, request.remote_addr or "") as succeeded:
        with components().database.read() as database:
            user = check_password(database, name, password, components().clock())
        if user is not None:
            succeeded()
    return user


def _shown(name: str) -> str:
    """Return a name that was tried as the log may hold it."""
    text = name[:NAME_MAX_LENGTH]
    return text if text.isprintable() else ascii(text)


def _record_log_in(user_id: int, password: str) -> None:
    with components().database.write() as database:
        user = database.get(User, user_id)
        if user is not None:
            record_log_in(user, password, components().clock())


def _wanted(address: str) -> str:
    """Return the address to go on to: one of ours, or the start page."""
    split = urlsplit(address)
    ours = address.startswith("/") and not address.startswith(("//", "/\\")) and not split.netloc
    return address if ours and address.isprintable() else url_for("auth.home")


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    """Log out: all sessions of the user end, also copies of this cookie."""
    audit("log-out")
    with components().database.write() as database:
        user = database.get(User, me().id)
        if user is not None:
            end_sessions(user)
    session.clear()
    flash("You are logged out.", "info")
    return redirect(url_for("auth.login"))


@blueprint.get("/password")
def password() -> ResponseReturnValue:
    """Show the form of one's own password."""
    return render_template("auth/password.html", form=PasswordForm(), forced=me().must_change_password)


@blueprint.post("/password")
def change_password() -> ResponseReturnValue:
    """Change one's own password; other sessions of the user end."""
    form, user = PasswordForm(), me()
    try:
        _change(form, user.name)
    except PauseRequiredError as error:
        audit("password change refused", reason="too many attempts")
        return too_many_attempts(error.pause_s)
    if form.problems():
        page = render_template("auth/password.html", form=form, forced=user.must_change_password)
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    audit("password changed")
    flash("The password is changed.", "success")
    return redirect(url_for("auth.home"))


def _change(form: PasswordForm, name: str) -> None:
    current, new = form.current.data or "", form.password.data or ""
    user = _checked(name, current)
    if user is None:
        form.complain("current", "This is not the present password.")
    if new != (form.again.data or ""):
        form.complain("again", "This is not the same as the new password.")
    if new == current:
        form.complain("password", "The new password must differ from the present one.")
    if user is None or form.problems():
        return
    try:
        with components().database.write() as database:
            stored = database.merge(user)
            set_password(database, stored, new, components().clock())
    except InvalidInputError as error:
        form.refuse(error)
        return
    begin_session(stored, components().clock())
