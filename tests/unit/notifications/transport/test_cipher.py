"""Addresses are kept encrypted."""

from __future__ import annotations

import pytest

from shared.notifications.transport.cipher import AddressCipher, UnreadableAddressError

KEY = "k" * 64


def test_an_address_is_read_with_its_key_alone():
    # Given
    sealed = AddressCipher(KEY).encrypt("slack://secret")
    # When / Then
    assert AddressCipher(KEY).decrypt(sealed) == "slack://secret"
    assert "secret" not in sealed
    with pytest.raises(UnreadableAddressError, match="add it again"):
        AddressCipher("x" * 64).decrypt(sealed)
