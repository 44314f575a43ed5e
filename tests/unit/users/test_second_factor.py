"""Each code of a second factor is used once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pyotp import TOTP
from sqlalchemy.orm import Session

from shared.configuration.cipher import Cipher, Purpose, UnreadableSecretError
from shared.database.models import User
from shared.users.accounts import create_user
from shared.users.second_factor import (
    RECOVERY_CODES,
    accept_code,
    recovery_codes_left,
    remove,
    renew_recovery_codes,
    set_up,
)
from shared.users.totp import STEP_S, new_secret

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
CIPHER = Cipher("k" * 64, Purpose.SECOND_FACTOR)
SECRET = new_secret()


@pytest.fixture
def user(session: Session) -> User:
    return create_user(session, "ada", "importer", "correct horse", NOW)


@pytest.fixture
def codes(session: Session, user: User) -> list[str]:
    return set_up(session, user, CIPHER.encrypt(SECRET), int(NOW.timestamp()) // STEP_S, NOW)


def accepted(session: Session, user: User, code: str, passed_s: int = 0) -> str | None:
    return accept_code(session, user, code, CIPHER, NOW + timedelta(seconds=passed_s))


def code_after(passed_s: int) -> str:
    return TOTP(SECRET).at(NOW + timedelta(seconds=passed_s))


def test_the_code_of_the_set_up_does_not_log_in(session, user, codes):
    assert accepted(session, user, code_after(0)) is None


def test_a_code_is_accepted_once(session, user, codes):
    assert accepted(session, user, code_after(60), 60) == "code"
    session.refresh(user)
    assert accepted(session, user, code_after(60), 60) is None
    assert accepted(session, user, code_after(90), 90) == "code"


def test_of_two_requests_with_a_code_one_is_accepted(session, user, codes):
    # Given: both read the user before either used the code
    step = user.totp_last_step
    assert accepted(session, user, code_after(60), 60) == "code"
    # When
    stale = User(id=user.id, totp_secret=user.totp_secret, totp_last_step=step)
    # Then
    assert accept_code(session, stale, code_after(60), CIPHER, NOW + timedelta(seconds=60)) is None


def test_a_recovery_code_stands_in_once(session, user, codes):
    assert len(set(codes)) == RECOVERY_CODES
    assert accepted(session, user, codes[3]) == "recovery code"
    assert accepted(session, user, codes[3]) is None
    assert accepted(session, user, f" {codes[4].upper().replace('-', ' ')} ") == "recovery code"
    assert recovery_codes_left(session, user.id) == RECOVERY_CODES - 2


def test_recovery_codes_of_others_are_not_accepted(session, user, codes):
    # Given
    other = create_user(session, "bob", "viewer", "correct horse", NOW)
    theirs = set_up(session, other, CIPHER.encrypt(new_secret()), 0, NOW)
    # Then
    assert accepted(session, user, theirs[0]) is None
    assert recovery_codes_left(session, other.id) == RECOVERY_CODES


def test_new_recovery_codes_replace_the_old(session, user, codes):
    # When
    renewed = renew_recovery_codes(session, user)
    # Then
    assert accepted(session, user, codes[0]) is None
    assert accepted(session, user, renewed[0]) == "recovery code"


def test_after_a_change_of_the_key_recovery_codes_work(session, user, codes):
    other = Cipher("x" * 64, Purpose.SECOND_FACTOR)
    with pytest.raises(UnreadableSecretError):
        accept_code(session, user, code_after(60), other, NOW + timedelta(seconds=60))
    assert accept_code(session, user, codes[0], other, NOW) == "recovery code"


def test_a_removed_second_factor_leaves_nothing(session, user, codes):
    # Given
    token = user.session_token
    # When / Then
    assert remove(session, user)
    assert not remove(session, user)
    assert (user.totp_secret, user.second_factor_since) == ("", None)
    assert recovery_codes_left(session, user.id) == 0
    assert user.session_token != token
