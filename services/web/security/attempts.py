"""Attempts at passwords and codes: each is counted before it is checked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from flask import current_app, request

from services.web.components import components
from shared.configuration.cipher import Cipher, Purpose
from shared.database.models import User
from shared.users.accounts import NAME_MAX_LENGTH, check_password
from shared.users.second_factor import accept_code


def check_name_and_password(name: str, password: str) -> User | None:
    """Return the user if name and password are right.

    Raises:
        PauseRequiredError: the account or the address has failed too often.
    """
    # PostgreSQL takes no NUL, and no name of ours holds one.
    if len(name) > NAME_MAX_LENGTH or not name.isprintable():
        name = ""
    with _attempt(name) as succeeded:
        with components().database.read() as database:
            user = check_password(database, name, password, components().clock())
        if user is not None:
            succeeded()
    return user


def check_code(user_id: int, code: str) -> str | None:
    """Use up a code of a user's second factor; returns its kind, or None if it is none of theirs.

    Raises:
        PauseRequiredError: the account or the address has failed too often.
        UnreadableSecretError: only a recovery code could be accepted.
    """
    # Counted apart from passwords, of which a right one would forget the failures; no name holds a line end.
    with _attempt(f"second factor\n{user_id}") as succeeded:
        with components().database.write() as database:
            user = database.get(User, user_id)
            if user is None or user.second_factor_since is None:
                return None
            kind = accept_code(database, user, code, cipher(), components().clock())
        if kind is not None:
            succeeded()
    return kind


def cipher() -> Cipher:
    """Return what encrypts the secrets of second factors."""
    return Cipher(str(current_app.config["SECRET_KEY"]), Purpose.SECOND_FACTOR)


def _attempt(account: str) -> AbstractContextManager[Callable[[], None]]:
    return components().login_limit.attempt(account, request.remote_addr or "")
