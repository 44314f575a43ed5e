"""Passwords: which are taken, how they are hashed, and how old hashes are recognized."""

from __future__ import annotations

import re
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from werkzeug.security import check_password_hash

from shared.errors import InvalidInputError

#: OWASP ASVS 4.0.3, 2.1.1: at least 12 characters; the upper bound keeps hashing cheap.
PASSWORD_MIN_LENGTH, PASSWORD_MAX_LENGTH = 12, 256
#: Different characters below which a password is a repetition.
_DIFFERENT_CHARACTERS = 5

#: Argon2id (RFC 9106) with the first parameters of OWASP's cheat sheet: 19 MiB, 2 passes, 1 lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

#: Cores of common passwords, after digits and signs are dropped and look-alikes are read as letters.
_COMMON = frozenset(
    [
        "abc",
        "abcabc",
        "abcd",
        "abcdef",
        "abcdefg",
        "abcdefgh",
        "abcdefghijkl",
        "admin",
        "administrator",
        "adminadmin",
        "asdf",
        "asdfgh",
        "asdfghjkl",
        "baseball",
        "changeme",
        "default",
        "dicom",
        "dicomdicom",
        "dose",
        "doseqr",
        "doseqrdoseqr",
        "dragon",
        "football",
        "geheim",
        "guest",
        "hallo",
        "hallowelt",
        "hello",
        "helloworld",
        "hospital",
        "iloveyou",
        "klinik",
        "krankenhaus",
        "letmein",
        "letmeinletmein",
        "login",
        "loginlogin",
        "master",
        "mypassword",
        "mynewpassword",
        "newpassword",
        "oldpassword",
        "openrem",
        "orthanc",
        "orthancorthanc",
        "pacs",
        "password",
        "passwordpassword",
        "passw",
        "passwort",
        "passwortpasswort",
        "physicist",
        "physics",
        "princess",
        "qazwsx",
        "qazwsxedc",
        "qazwsxedcrfv",
        "qwer",
        "qwert",
        "qwerty",
        "qwertyqwerty",
        "qwertyuiop",
        "qwertz",
        "qwertzuiop",
        "radiology",
        "root",
        "secret",
        "secretsecret",
        "shadow",
        "sommer",
        "strahlung",
        "summer",
        "sunshine",
        "superman",
        "temp",
        "temporary",
        "test",
        "testpassword",
        "testtest",
        "testuser",
        "thepassword",
        "user",
        "welcome",
        "welcomewelcome",
        "winter",
        "willkommen",
        "xray",
        "yourpassword",
        "zxcvbn",
        "zxcvbnm",
    ]
)
_LOOKALIKES = str.maketrans("013457@$!", "oieastasi")
_SEQUENCES = ("0123456789012345678901234567890", "abcdefghijklmnopqrstuvwxyz", "9876543210987654321098765")


def check_acceptable(password: str, name: str = "") -> None:
    """Refuse a password that is too short, too long, or easily guessed (NIST SP 800-63B 5.1.1.2).

    Raises:
        InvalidInputError: names which.
    """
    if not PASSWORD_MIN_LENGTH <= len(password) <= PASSWORD_MAX_LENGTH:
        raise InvalidInputError(
            "password", f"must have {PASSWORD_MIN_LENGTH} to {PASSWORD_MAX_LENGTH} characters"
        )
    if _is_common(password, name):
        raise InvalidInputError(
            "password", "is easily guessed: a common word, the user name, or a sequence; choose another"
        )


def one_time_password() -> str:
    """Return a random password of 16 characters (96 bits)."""
    return secrets.token_urlsafe(12)


def hash_password(password: str) -> str:
    """Return the Argon2id hash of a password."""
    return _HASHER.hash(password)


def verify_password(stored_hash: str, password: str) -> bool:
    """Return whether a password belongs to a hash: Argon2id, or the scrypt of earlier versions."""
    if not stored_hash.startswith("$argon2"):
        return check_password_hash(stored_hash, password)
    try:
        return _HASHER.verify(stored_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(stored_hash: str) -> bool:
    """Return whether a hash is of another kind or of other parameters than `hash_password` makes."""
    return not stored_hash.startswith("$argon2") or _HASHER.check_needs_rehash(stored_hash)


def _letters(text: str) -> str:
    return re.sub(r"[\W\d_]+", "", text.casefold())


def _is_common(password: str, name: str) -> bool:
    folded = password.casefold()
    if len(set(folded)) < _DIFFERENT_CHARACTERS or any(folded in sequence for sequence in _SEQUENCES):
        return True
    if _letters(name) and _letters(folded) in (_letters(name), _letters(name) * 2):
        return True
    # "P4ssw0rd2024!" and "password1234" are read as "password": digits at both ends are dropped first.
    core = re.sub(r"[\W_]+", "", folded.strip("0123456789!?.,-_#*+$@%&/ ").translate(_LOOKALIKES))
    return core in _COMMON
