"""The second step of a log-in: a code of the second factor."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from services.web.components import components
from services.web.forms.second_factor import CodeForm
from services.web.language import gettext, ngettext
from services.web.login_limit import PauseRequiredError
from services.web.pages.errors import too_many_attempts
from services.web.security.attempts import check_code
from services.web.security.audit_trail import record_audit
from services.web.security.completion import complete_log_in, user_in_second_step
from shared.configuration.cipher import UnreadableSecretError
from shared.database.models import User
from shared.users.second_factor import recovery_codes_left

blueprint = Blueprint("second_step", __name__, url_prefix="/login/code")


@blueprint.get("")
def form() -> ResponseReturnValue:
    """Show the form for the code."""
    if user_in_second_step() is None:
        return _again()
    return render_template("auth/code.html", form=CodeForm())


@blueprint.post("")
def check() -> ResponseReturnValue:
    """Log in with a code."""
    user, form = user_in_second_step(), CodeForm()
    if user is None:
        return _again()
    try:
        kind = check_code(user.id, form.code.data or "")
    except PauseRequiredError as error:
        record_audit("log-in refused", user.name, {"reason": "too many codes"})
        return too_many_attempts(error.pause_s)
    except UnreadableSecretError:
        _refused(user, "secret not readable")
        form.complain(
            "code",
            gettext(
                "The key of this server has changed, so codes of the app cannot be checked. Use a recovery "
                "code, or let an administrator reset your second factor."
            ),
        )
        return _page(form)
    if kind is None:
        _refused(user, "wrong code")
        form.complain("code", gettext("This code is wrong, has expired or was used before."))
        return _page(form)
    response = complete_log_in(user.id, request.args.get("next", ""), second_factor=kind)
    if kind == "recovery code":
        _warn(user)
    return response


def _refused(user: User, reason: str) -> None:
    # Whoever comes here has the password; the limit of attempts bounds the rows.
    record_audit("second factor refused", user.name, {"reason": reason})


def _warn(user: User) -> None:
    with components().database.read() as database:
        left = recovery_codes_left(database, user.id)
    text = ngettext(
        "%(num)d recovery code is left. New ones can be made on the page “Second factor”.",
        "%(num)d recovery codes are left. New ones can be made on the page “Second factor”.",
        left,
    )
    flash(text, "warning")


def _again() -> ResponseReturnValue:
    flash(gettext("Log in to go on."), "info")
    return redirect(url_for("auth.login", next=request.args.get("next")))


def _page(form: CodeForm) -> ResponseReturnValue:
    return render_template("auth/code.html", form=form), HTTPStatus.UNPROCESSABLE_ENTITY
