"""Codes of RFC 6238."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from pyotp import TOTP

from shared.users.totp import (
    STEP_S,
    matching_step,
    new_secret,
    provisioning_uri,
    qr_code,
)

#: The secret of RFC 6238, appendix B; its codes have eight digits there, of which apps show the last six.
RFC_SECRET = base64.b32encode(b"12345678901234567890").decode("ascii")
NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
STEP = int(NOW.timestamp()) // STEP_S


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_the_codes_of_the_standard_are_accepted(seconds, code):
    moment = datetime.fromtimestamp(seconds, UTC)
    assert matching_step(RFC_SECRET, code, moment, after=0) == seconds // STEP_S


@pytest.mark.parametrize(("drift", "accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_differ_by_one_step(drift, accepted):
    # Given
    secret = new_secret()
    code = TOTP(secret).at(NOW + timedelta(seconds=drift * STEP_S))
    # When / Then
    assert matching_step(secret, code, NOW, after=0) == (STEP + drift if accepted else None)


def test_no_code_up_to_the_last_used_step_is_accepted():
    secret = new_secret()
    assert matching_step(secret, TOTP(secret).at(NOW), NOW, after=STEP) is None
    assert matching_step(secret, TOTP(secret).at(NOW), NOW, after=STEP - 1) == STEP


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", " 12345", "-12345"])
def test_anything_but_six_digits_is_no_code(code):
    assert matching_step(new_secret(), code, NOW, after=0) is None


def test_a_secret_has_as_many_bits_as_its_hash():
    assert len(base64.b32decode(new_secret())) * 8 == 160


def test_the_qr_code_is_drawn_without_styles_and_scripts():
    # When
    image = qr_code(provisioning_uri(new_secret(), "anna@doseqr.example"))
    # Then
    assert image.startswith("<svg")
    assert "style" not in image
    assert "<script" not in image
