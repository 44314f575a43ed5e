"""Which passwords are taken, and how they are hashed."""

from __future__ import annotations

import pytest
from werkzeug.security import generate_password_hash

from shared.errors import InvalidInputError
from shared.users import passwords
from shared.users.passwords import (
    check_acceptable,
    hash_password,
    needs_rehash,
    one_time_password,
    verify_password,
)
from tests.support.services.web import COSTLY_HASHER


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "elevenchars",
        "x" * 257,
        "aaaaaaaaaaaa",
        "abababababab",
        "123456789012",
        "password1234",
        "Password2024!",
        "P4ssw0rd2024!",
        "passwordpassword",
        "qwertyuiop12",
        "qwertzuiop2025",
        "geheim123456",
        "doseqr-2026-!!",
        "abcdefghijkl",
        "letmein-letmein",
        "ada.lovelace1",
        "AdaLovelace2026",
    ],
)
def test_a_short_or_easily_guessed_password_is_refused(password):
    with pytest.raises(InvalidInputError) as refused:
        check_acceptable(password, "ada.lovelace")
    assert refused.value.field == "password"


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "zwölf Zeichen",
        "Tr0ub4dor&3xy",
        "x" * 128 + "abcdefgh",
        "my password is long",
    ],
)
def test_a_long_unusual_password_is_taken(password):
    check_acceptable(password, "ada")


def test_one_time_passwords_are_acceptable_and_differ():
    passwords = {one_time_password() for _ in range(50)}
    for password in passwords:
        check_acceptable(password, "admin")
    assert len(passwords) == 50


def test_a_hash_is_argon2id_and_fits_its_password_alone(monkeypatch):
    # Given
    monkeypatch.setattr(passwords, "_HASHER", COSTLY_HASHER)
    # When
    stored = hash_password("correct horse battery")
    # Then
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify_password(stored, "correct horse battery")
    assert not verify_password(stored, "wrong horse battery")
    assert not needs_rehash(stored)


def test_a_scrypt_hash_of_an_earlier_version_still_fits_and_is_replaced():
    # Given
    stored = generate_password_hash("correct horse battery", method="scrypt:1024:8:1")
    # Then
    assert verify_password(stored, "correct horse battery")
    assert not verify_password(stored, "wrong horse battery")
    assert needs_rehash(stored)


@pytest.mark.parametrize("stored", ["", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$AAAA$", "plain"])
def test_a_broken_hash_fits_nothing(stored):
    assert not verify_password(stored, "")
