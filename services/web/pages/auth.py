"""Log-in, log-out, password."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from services.web.components import components
from services.web.forms.fields import LoginForm, PasswordForm
from services.web.language import gettext
from services.web.login_limit import PauseRequiredError
from services.web.pages.account.provider_log_in import log_out_address
from services.web.pages.errors import too_many_attempts
from services.web.security.attempts import check_name_and_password
from services.web.security.completion import begin_second_step, complete_log_in
from services.web.security.sessions import audit, begin_session, me
from shared.database.models import User
from shared.errors import InvalidInputError
from shared.users.accounts import NAME_MAX_LENGTH, end_sessions, renew_hash, set_password

blueprint = Blueprint("auth", __name__)


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """Lead to where this user begins."""
    return redirect(url_for("start.show"))


@blueprint.get("/login")
def login() -> ResponseReturnValue:
    """Show the form of the log-in."""
    if current_user.is_authenticated:
        return redirect(url_for("auth.home"))
    return _log_in_page(LoginForm())


@blueprint.post("/login")
def log_in() -> ResponseReturnValue:
    """Log in."""
    form = LoginForm()
    name, password = form.name.data or "", form.password.data or ""
    try:
        user = check_name_and_password(name, password)
    except PauseRequiredError as error:
        audit("log-in refused", name=_shown(name), reason="too many attempts")
        return too_many_attempts(error.pause_s)
    if user is None:
        audit("log-in refused", name=_shown(name), reason="wrong name or password")
        form.complain("", gettext("User name or password is wrong."))
        return _log_in_page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    settings = components().settings
    if settings.local_login == "break-glass" and user.name != settings.break_glass_user:
        audit("log-in refused", name=user.name, reason="local log-in is switched off")
        form.complain("", gettext("Log in at %(provider)s.", provider=settings.oidc_label))
        return _log_in_page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    with components().database.write() as database:
        renew_hash(database.merge(user), password)
    if user.second_factor_since is not None:
        begin_second_step(user, components().clock())
        return redirect(url_for("second_step.form", next=request.args.get("next")))
    return complete_log_in(user.id, request.args.get("next", ""))


def _log_in_page(form: LoginForm) -> str:
    settings = components().settings
    label = settings.oidc_label if settings.oidc_issuer else None
    break_glass = settings.local_login == "break-glass"
    return render_template("auth/login.html", form=form, provider=label, break_glass=break_glass)


def _shown(name: str) -> str:
    """Return a name that was tried as the log may hold it."""
    text = name[:NAME_MAX_LENGTH]
    return text if text.isprintable() else ascii(text)


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    """Log out: all sessions of the user end, also copies of this cookie."""
    audit("log-out")
    elsewhere = log_out_address()
    with components().database.write() as database:
        user = database.get(User, me().id)
        if user is not None:
            end_sessions(user)
    session.clear()
    if elsewhere:
        return render_template(
            "auth/logged_out.html", address=elsewhere, provider=components().settings.oidc_label
        )
    flash(gettext("You are logged out."), "info")
    return redirect(url_for("auth.login"))


@blueprint.get("/password")
def password() -> ResponseReturnValue:
    """Show the form of one's own password."""
    if not me().is_local:
        return redirect(url_for("second_factor.show"))
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
    flash(gettext("The password is changed."), "success")
    return redirect(url_for("auth.home"))


def _change(form: PasswordForm, name: str) -> None:
    current, new = form.current.data or "", form.password.data or ""
    user = check_name_and_password(name, current)
    if user is None:
        form.complain("current", gettext("This is not the present password."))
    if new != (form.again.data or ""):
        form.complain("again", gettext("This is not the same as the new password."))
    if new == current:
        form.complain("password", gettext("The new password must differ from the present one."))
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
