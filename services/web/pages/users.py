"""Users: list, add, new one-time password, another role, disable and enable."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from services.web.components import components
from services.web.forms.fields import ROLE_NAMES, UserForm
from services.web.language import gettext, translated
from services.web.security.sessions import ADMINS, audit, me, requires
from shared.database.models import User
from shared.errors import InvalidInputError
from shared.users import second_factor
from shared.users.accounts import create_user, list_users, set_disabled, set_password, set_role, valid_role
from shared.users.node_groups import list_groups, set_groups
from shared.users.passwords import one_time_password

blueprint = Blueprint("users", __name__, url_prefix="/users")


@blueprint.get("")
@requires(*ADMINS)
def listing() -> ResponseReturnValue:
    """List the users."""
    return _page(UserForm(), None)


@blueprint.post("")
@requires(*ADMINS)
def add() -> ResponseReturnValue:
    """Add a user with a one-time password, which is shown this once."""
    form, password = UserForm(), one_time_password()
    try:
        with components().database.write() as session:
            user = create_user(
                session,
                form.name.data or "",
                form.role.data or "",
                password,
                components().clock(),
                must_change_password=True,
            )
            groups = set_groups(session, user, form.groups.data or "")
    except InvalidInputError as error:
        form.refuse(error)
        return _page(form, None), HTTPStatus.UNPROCESSABLE_ENTITY
    audit("user added", about=user.name, role=user.role, groups=groups or "all")
    return _page(UserForm(formdata=None), (user.name, password))


@blueprint.post("/<int:user_id>/password")
@requires(*ADMINS)
def reset(user_id: int) -> ResponseReturnValue:
    """Give a user a new one-time password, which is shown this once; their sessions end."""
    password = one_time_password()
    try:
        user = _change(
            user_id,
            lambda session, user: set_password(
                session, user, password, components().clock(), must_change_password=True
            ),
        )
    except InvalidInputError:
        # The page offers no button for it: an OpenID provider knows this user.
        abort(HTTPStatus.BAD_REQUEST)
    audit("password reset", about=user.name)
    return _page(UserForm(formdata=None), (user.name, password))


@blueprint.post("/<int:user_id>/second-factor/remove")
@requires(*ADMINS)
def remove_second_factor(user_id: int) -> ResponseReturnValue:
    """Reset the second factor of a user who lost it; their sessions end."""
    user = _change(user_id, second_factor.remove)
    audit("second factor reset", about=user.name)
    flash(
        gettext("%(name)s logs in by password alone, until they set up a second factor.", name=user.name),
        "success",
    )
    return redirect(url_for("users.listing"))


@blueprint.post("/<int:user_id>/role")
@requires(*ADMINS)
def role(user_id: int) -> ResponseReturnValue:
    """Give a user another role; their sessions end."""
    try:
        wanted = valid_role(request.form.get("role", ""))
        user = _change(user_id, lambda _, user: set_role(user, wanted))
    except InvalidInputError:
        abort(HTTPStatus.BAD_REQUEST)
    audit("role changed", about=user.name, role=wanted)
    flash(
        gettext("The role of %(name)s is now %(role)s.", name=user.name, role=translated(wanted)), "success"
    )
    return redirect(url_for("users.listing"))


@blueprint.post("/<int:user_id>/groups")
@requires(*ADMINS)
def groups(user_id: int) -> ResponseReturnValue:
    """Limit a user to groups of nodes; their sessions end."""
    text = request.form.get("groups", "")[:1000]
    try:
        user = _change(user_id, lambda session, user: set_groups(session, user, text))
    except InvalidInputError as error:
        flash(f"{gettext('Groups of nodes')}: {translated(error.problem)}", "danger")
        return redirect(url_for("users.listing"))
    audit("groups changed", about=user.name, groups=user.node_groups or "all")
    flash(gettext("The groups of %(name)s are changed.", name=user.name), "success")
    return redirect(url_for("users.listing"))


@blueprint.post("/<int:user_id>/disable")
@requires(*ADMINS)
def disable(user_id: int) -> ResponseReturnValue:
    """Let a user log in no more; their sessions end."""
    user = _change(user_id, lambda _, user: set_disabled(user, components().clock()))
    audit("user disabled", about=user.name)
    flash(gettext("%(name)s can no longer log in.", name=user.name), "success")
    return redirect(url_for("users.listing"))


@blueprint.post("/<int:user_id>/enable")
@requires(*ADMINS)
def enable(user_id: int) -> ResponseReturnValue:
    """Let a user log in again."""
    user = _change(user_id, lambda _, user: set_disabled(user, None))
    audit("user enabled", about=user.name)
    flash(gettext("%(name)s can log in again.", name=user.name), "success")
    return redirect(url_for("users.listing"))


def _change(user_id: int, change: Callable[[Session, User], object]) -> User:
    """Change another user; nobody changes themselves here, so that an administrator stays."""
    if user_id == me().id:
        abort(HTTPStatus.FORBIDDEN)
    with components().database.write() as session:
        user = session.get(User, user_id)
        if user is None:
            abort(HTTPStatus.NOT_FOUND)
        change(session, user)
    return user


def _page(form: UserForm, fresh: tuple[str, str] | None) -> str:
    with components().database.read() as session:
        users, known = list_users(session), list_groups(session)
    return render_template(
        "users/list.html", users=users, form=form, fresh=fresh, roles=ROLE_NAMES, groups=known
    )
