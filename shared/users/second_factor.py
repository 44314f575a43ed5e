"""The second factor of users: what their log-in requires beside the password."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import datetime

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.orm import Session

from shared.configuration.cipher import Cipher
from shared.database.models.web import RecoveryCode, User
from shared.users.accounts import end_sessions
from shared.users.totp import matching_step

#: Recovery codes of a user, each for one log-in without the phone.
RECOVERY_CODES = 10
#: Random bytes of a recovery code; guessing one of 80 bits is out of reach, so a plain hash is enough.
RECOVERY_CODE_BYTES = 10
#: Characters of the longest text that is compared with codes.
CODE_MAX_LENGTH = 64


def set_up(session: Session, user: User, encrypted_secret: str, step: int, now: datetime) -> list[str]:
    """Require a code at each log-in from now on; their sessions end. Returns the recovery codes.

    `step` is that of the code which confirmed the secret; it is used up.
    """
    user.totp_secret = encrypted_secret
    user.totp_last_step = step
    user.second_factor_since = now
    end_sessions(user)
    return renew_recovery_codes(session, user)


def remove(session: Session, user: User) -> bool:
    """Require the password alone again; their sessions end. Returns whether there was a second factor."""
    had = user.second_factor_since is not None
    user.totp_secret, user.totp_last_step, user.second_factor_since = "", 0, None
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    end_sessions(user)
    return had


def renew_recovery_codes(session: Session, user: User) -> list[str]:
    """Replace the recovery codes of a user; returns the new ones, which cannot be shown again."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = [_new_recovery_code() for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(user_id=user.id, code_hash=_hash(code)) for code in codes)
    session.flush()
    return codes


def recovery_codes_left(session: Session, user_id: int) -> int:
    """Return how many recovery codes a user has not used."""
    unused = RecoveryCode.used_at.is_(None)
    query = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == user_id, unused)
    return session.scalar(query) or 0


def accept_code(session: Session, user: User, code: str, cipher: Cipher, now: datetime) -> str | None:
    """Use up a code: returns "code" or "recovery code" if it was one of the user's, otherwise None.

    Raises:
        UnreadableSecretError: only a recovery code could be accepted, and this is none.
    """
    plain = "".join(code[:CODE_MAX_LENGTH].split()).replace("-", "").lower()
    if _accept_recovery_code(session, user, plain, now):
        return "recovery code"
    secret = cipher.decrypt(user.totp_secret)
    step = matching_step(secret, plain, now, after=user.totp_last_step)
    if step is None:
        return None
    # Of two requests with the same code, one finds the step used.
    claim = update(User).where(User.id == user.id, User.totp_last_step < step).values(totp_last_step=step)
    return "code" if _rows(session, claim) else None


def _accept_recovery_code(session: Session, user: User, plain: str, now: datetime) -> bool:
    own = RecoveryCode.user_id == user.id, RecoveryCode.code_hash == _hash(plain)
    return _rows(
        session, update(RecoveryCode).where(*own, RecoveryCode.used_at.is_(None)).values(used_at=now)
    )


def _rows(session: Session, statement: object) -> bool:
    result = session.execute(statement)  # type: ignore[call-overload]
    assert isinstance(result, CursorResult)
    return result.rowcount == 1


def _new_recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(RECOVERY_CODE_BYTES)).decode("ascii").lower()
    return "-".join(text[place : place + 4] for place in range(0, len(text), 4))


def _hash(code: str) -> str:
    return hashlib.sha256(code.replace("-", "").encode()).hexdigest()
