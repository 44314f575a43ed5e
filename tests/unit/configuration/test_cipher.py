"""Secrets are kept encrypted, each purpose with a key of its own."""

from __future__ import annotations

import pytest

from shared.configuration.cipher import Cipher, Purpose, UnreadableSecretError

KEY = "k" * 64
#: Written by earlier versions, with `KEY`.
EARLIER = {
    Purpose.SECOND_FACTOR: (
        "gAAAAABrCBDJX0ZsrabfPDrYhU4RvgWuurhgQE2DlWl2liOG4W6vdhBhf7EYWpxkyQzuCqYXrhSjaiPhD56pZaJUhcAgir-xX1er-VZGhuObHVMU9o04Dsg=",
        "JBSWY3DPEHPK3PXP",
    ),
    Purpose.NOTIFICATION_ADDRESS: (
        "gAAAAABrCBDJTBRUOOlWhQDRhITyr8Kuv6ucoO_dRqHkTVX3KkEXakH1V_f92gGPNgAa6BvRLAiO5Z9edA_y0flVBa3ZtXLnRg==",
        "slack://secret",
    ),
}


@pytest.mark.parametrize("purpose", Purpose)
def test_a_secret_is_read_with_its_key_and_purpose_alone(purpose: Purpose) -> None:
    # Given
    cipher = Cipher(KEY, purpose)
    # When
    encrypted = cipher.encrypt("slack://secret")
    # Then
    assert "secret" not in encrypted
    assert cipher.decrypt(encrypted) == "slack://secret"
    others = [Cipher(KEY, other) for other in Purpose if other != purpose]
    for other in (*others, Cipher("x" * 64, purpose)):
        with pytest.raises(UnreadableSecretError):
            other.decrypt(encrypted)


@pytest.mark.parametrize("text", ["", "gibberish"])
def test_what_no_cipher_has_written_is_refused(text: str) -> None:
    with pytest.raises(UnreadableSecretError):
        Cipher(KEY, Purpose.SECOND_FACTOR).decrypt(text)


@pytest.mark.parametrize("purpose", Purpose)
def test_what_earlier_versions_encrypted_stays_readable(purpose: Purpose) -> None:
    encrypted, secret = EARLIER[purpose]
    assert Cipher(KEY, purpose).decrypt(encrypted) == secret
