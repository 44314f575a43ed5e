"""One's own second factor: set up, new recovery codes, turned off."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from services.web.components import components
from services.web.forms.second_factor import CodeForm, SetUpForm
from services.web.language import gettext
from services.web.login_limit import PauseRequiredError
from services.web.pages.errors import too_many_attempts
from services.web.security.attempts import check_code, check_name_and_password, cipher
from services.web.security.sessions import audit, begin_session, me
from shared.configuration.cipher import UnreadableSecretError
from shared.database.models import User
from shared.users import second_factor, totp

T = TypeVar("T")

blueprint = Blueprint("second_factor", __name__, url_prefix="/account/second-factor")

#: The secret that is being set up, encrypted, in the session of its user.
_IN_SET_UP = "second_factor_in_set_up"


@blueprint.get("")
def show() -> ResponseReturnValue:
    """Show the second factor, or what its set-up needs."""
    if not me().is_local or me().has_second_factor:
        return _state(CodeForm())
    return _set_up_page(SetUpForm(), _new_secret())


@blueprint.post("")
def set_up() -> ResponseReturnValue:
    """Set up the second factor: the code proves that the app has the secret. Other sessions end."""
    if not me().is_local or me().has_second_factor:
        return redirect(url_for("second_factor.show"))
    form, secret = SetUpForm(), _new_secret()
    try:
        user = check_name_and_password(me().name, form.current.data or "")
    except PauseRequiredError as error:
        audit("second factor set-up refused", reason="too many attempts")
        return too_many_attempts(error.pause_s)
    code = "".join((form.code.data or "").split())
    step = totp.matching_step(secret, code, components().clock(), after=0)
    if user is None:
        form.complain("current", gettext("This is not the present password."))
    if step is None:
        form.complain(
            "code",
            gettext("This is not the code of now. If it stays so, check the clock of the phone."),
        )
    if user is None or step is None:
        return _set_up_page(form, secret), HTTPStatus.UNPROCESSABLE_ENTITY
    now, encrypted = components().clock(), cipher().encrypt(secret)
    codes, user = _change(lambda database, user: second_factor.set_up(database, user, encrypted, step, now))
    begin_session(user, now)
    audit("second factor set up")
    return render_template("account/recovery_codes.html", codes=codes)


@blueprint.post("/recovery-codes")
def renew() -> ResponseReturnValue:
    """Replace the recovery codes."""
    if (refused := _without_code()) is not None:
        return refused
    codes, _ = _change(second_factor.renew_recovery_codes)
    audit("recovery codes renewed")
    return render_template("account/recovery_codes.html", codes=codes)


@blueprint.post("/remove")
def remove() -> ResponseReturnValue:
    """Log in by password alone from now on. Other sessions end."""
    if (refused := _without_code()) is not None:
        return refused
    _, user = _change(second_factor.remove)
    begin_session(user, components().clock())
    audit("second factor removed")
    flash(gettext("The second factor is turned off."), "success")
    return redirect(url_for("second_factor.show"))


def _without_code() -> ResponseReturnValue | None:
    """Return the response to a form without a right code; None if the code was right."""
    if not me().has_second_factor:
        return redirect(url_for("second_factor.show"))
    form = CodeForm()
    try:
        kind = check_code(me().id, form.code.data or "")
    except PauseRequiredError as error:
        audit("second factor refused", reason="too many attempts")
        return too_many_attempts(error.pause_s)
    except UnreadableSecretError:
        kind = None
    if kind is not None:
        return None
    form.complain("code", gettext("This code is wrong, has expired or was used before."))
    return _state(form), HTTPStatus.UNPROCESSABLE_ENTITY


def _change(change: Callable[[Session, User], T]) -> tuple[T, User]:
    with components().database.write() as database:
        user = database.get_one(User, me().id)
        return change(database, user), user


def _new_secret() -> str:
    """Return the secret that is being set up; it stays the same until its user has logged out."""
    try:
        return cipher().decrypt(str(session.get(_IN_SET_UP, "")))
    except UnreadableSecretError:
        secret = totp.new_secret()
        session[_IN_SET_UP] = cipher().encrypt(secret)
        return secret


def _set_up_page(form: SetUpForm, secret: str) -> str:
    uri = totp.provisioning_uri(secret, f"{me().name}@{request.host}")
    return render_template(
        "account/second_factor_setup.html",
        form=form,
        qr_code=totp.qr_code(uri),
        uri=uri,
        secret=" ".join(secret[place : place + 4] for place in range(0, len(secret), 4)),
    )


def _state(form: CodeForm) -> str:
    with components().database.read() as database:
        left = second_factor.recovery_codes_left(database, me().id)
        since = database.get_one(User, me().id).second_factor_since
    return render_template("account/second_factor.html", form=form, left=left, since=since)
