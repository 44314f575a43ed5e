"""Addresses as the database holds them: encrypted with a key that follows from one of the installation."""

from __future__ import annotations

import base64
import hashlib
import hmac

from shared.errors import PermanentError

#: Distinguishes this key from what else follows from the same one.
_PURPOSE = b"doseqr notification addresses"


class UnreadableAddressError(PermanentError):
    """An address was encrypted with another key."""


class AddressCipher:
    """Encrypts addresses (Fernet: AES-128-CBC with HMAC-SHA256)."""

    def __init__(self, key: str) -> None:
        """`key`: DOSEQR_NOTIFICATION_KEY, or the key of the sessions."""
        derived = hmac.digest(key.encode(), _PURPOSE, hashlib.sha256)
        self._key = base64.urlsafe_b64encode(derived)

    def encrypt(self, address: str) -> str:
        """Return an address as the database may hold it."""
        from cryptography.fernet import Fernet  # noqa: PLC0415 - only who adds or sends needs it

        return Fernet(self._key).encrypt(address.encode()).decode("ascii")

    def decrypt(self, sealed: str) -> str:
        """Return an address.

        Raises:
            UnreadableAddressError: it was not encrypted with this key.
        """
        from cryptography.fernet import Fernet, InvalidToken  # noqa: PLC0415 - as above

        try:
            return Fernet(self._key).decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise UnreadableAddressError(
                "The address was encrypted with another key; remove it and add it again."
            ) from None
