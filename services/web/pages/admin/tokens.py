"""Tokens of the HTTP API: list, make, revoke."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from services.web.components import components
from services.web.forms.fields import TokenForm
from services.web.language import gettext
from services.web.security.sessions import ADMINS, audit, me, requires
from shared.database.models import User
from shared.errors import InvalidInputError
from shared.users.accounts import find_user, list_users
from shared.users.api_tokens import UnknownTokenError, create_token, list_tokens, revoke_token

blueprint = Blueprint("tokens", __name__, url_prefix="/tokens")


@blueprint.get("")
@requires(*ADMINS)
def listing() -> ResponseReturnValue:
    """List the tokens, and show the form of a new one."""
    return _page(TokenForm(formdata=None, data={"owner": me().name}), None)


@blueprint.post("")
@requires(*ADMINS)
def create() -> ResponseReturnValue:
    """Make a token, which is shown this once."""
    form = TokenForm()
    try:
        days = form.lifetime()
        with components().database.write() as session:
            owner = _owner(session, form.owner.data or "")
            row, token = create_token(
                session,
                form.name.data or "",
                owner,
                form.scope.data or "",
                components().clock(),
                days=days,
            )
    except InvalidInputError as error:
        form.refuse(error)
        return _page(form, None), HTTPStatus.UNPROCESSABLE_ENTITY
    audit("token created", token_name=row.name, owner=owner.name, scope=row.scope)
    return _page(TokenForm(formdata=None, data={"owner": me().name}), (row.name, token))


@blueprint.post("/revoke")
@requires(*ADMINS)
def revoke() -> ResponseReturnValue:
    """End a token at once."""
    try:
        with components().database.write() as session:
            row = revoke_token(session, request.form.get("name", ""), components().clock())
    except UnknownTokenError:
        abort(HTTPStatus.NOT_FOUND)
    audit("token revoked", token_name=row.name)
    flash(gettext("The token %(name)s is no longer taken.", name=row.name), "success")
    return redirect(url_for("tokens.listing"))


def _owner(session: Session, name: str) -> User:
    try:
        return find_user(session, name)
    except InvalidInputError as error:
        raise InvalidInputError("owner", error.problem) from error


def _page(form: TokenForm, fresh: tuple[str, str] | None) -> str:
    with components().database.read() as session:
        form.offer(list_users(session))
        tokens = list_tokens(session)
    now = components().clock().isoformat()
    return render_template("admin/tokens.html", tokens=tokens, form=form, fresh=fresh, now=now)
