"""Secrets as the database holds them: encrypted with a key that follows from one of the installation."""

from __future__ import annotations

import base64
import hashlib
import hmac
from enum import Enum

from shared.errors import PermanentError


class Purpose(bytes, Enum):
    """What is encrypted: each kind has a key of its own, which cannot read the others."""

    SECOND_FACTOR = b"doseqr second factor"
    NOTIFICATION_ADDRESS = b"doseqr notification addresses"


class UnreadableSecretError(PermanentError):
    """A secret was encrypted with another key."""


class Cipher:
    """Encrypts the secrets of one purpose (Fernet: AES-128-CBC with HMAC-SHA256)."""

    def __init__(self, key: str, purpose: Purpose) -> None:
        derived = hmac.digest(key.encode(), purpose.value, hashlib.sha256)
        self._key = base64.urlsafe_b64encode(derived)

    def encrypt(self, secret: str) -> str:
        """Return a secret as the database may hold it."""
        from cryptography.fernet import Fernet  # noqa: PLC0415 - most processes never need it

        return Fernet(self._key).encrypt(secret.encode()).decode("ascii")

    def decrypt(self, encrypted: str) -> str:
        """Return a secret.

        Raises:
            UnreadableSecretError: it was not encrypted with this key for this purpose.
        """
        from cryptography.fernet import Fernet, InvalidToken  # noqa: PLC0415 - as above

        try:
            return Fernet(self._key).decrypt(encrypted.encode()).decode()
        except InvalidToken:
            raise UnreadableSecretError("it was encrypted with another key") from None
