"""Log-in, log-out, password."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from services.web.components import components
from services.web.forms.fields import LoginForm, PasswordForm
from services.web.security.login_limit import FAILED_LOG_INS, failed, limiter
from services.web.security.sessions import audit, begin_session, me
from shared.database.models import User
from shared.errors import InvalidInputError
from shared.users import check_password, set_password

blueprint = Blueprint("auth", __name__)


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """Lead to where this user begins."""
    return redirect(url_for("query.form" if me().imports else "jobs.listing"))


@blueprint.route("/login", methods=["GET", "POST"])
@limiter.limit(FAILED_LOG_INS, methods=["POST"], deduct_when=failed)
def login() -> ResponseReturnValue:
    """Log in."""
    if current_user.is_authenticated and request.method == "GET":
        return redirect(url_for("auth.home"))
    form = LoginForm()
    if not form.is_submitted():
        return render_template("auth/login.html", form=form)
    name, password = form.name.data or "", form.password.data or ""
    with components().database.read() as database:
        user = check_password(database, name, password)
    if user is None:
        audit("log-in refused")
        form.complain("", "User name or password is wrong.")
        return render_template("auth/login.html", form=form), HTTPStatus.UNPROCESSABLE_ENTITY
    _record_log_in(user.id)
    begin_session(user)
    audit("log-in", role=user.role)
    return redirect(_wanted(request.args.get("next", "")))


def _record_log_in(user_id: int) -> None:
    with components().database.write() as database:
        user = database.get(User, user_id)
        if user is not None:
            user.last_login_at = components().clock()


def _wanted(address: str) -> str:
    """Return the address to go on to: one of ours, or the start page."""
    split = urlsplit(address)
    ours = address.startswith("/") and not address.startswith(("//", "/\\")) and not split.netloc
    return address if ours and address.isprintable() else url_for("auth.home")


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    """Log out."""
    audit("log-out")
    session.clear()
    flash("You are logged out.", "info")
    return redirect(url_for("auth.login"))


@blueprint.route("/password", methods=["GET", "POST"])
@limiter.limit(FAILED_LOG_INS, methods=["POST"], deduct_when=failed)
def password() -> ResponseReturnValue:
    """Change one's own password; other sessions of the user end."""
    form, user = PasswordForm(), me()
    if not form.is_submitted():
        return render_template("auth/password.html", form=form, forced=user.must_change_password)
    _change(form, user.name)
    if form.problems():
        page = render_template("auth/password.html", form=form, forced=user.must_change_password)
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    audit("password changed")
    flash("The password is changed.", "success")
    return redirect(url_for("auth.home"))


def _change(form: PasswordForm, name: str) -> None:
    current, new = form.current.data or "", form.password.data or ""
    with components().database.read() as database:
        user = check_password(database, name, current)
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
            set_password(database, stored, new)
    except InvalidInputError as error:
        form.refuse(error)
        return
    begin_session(stored)
