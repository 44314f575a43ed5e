"""Time-based one-time passwords (RFC 6238).

The libraries are loaded when they are needed: most processes never check a code.
"""

from __future__ import annotations

import hmac
from datetime import datetime

#: Seconds of one step, and digits of a code (RFC 6238, 5.2, and what authenticator apps expect).
STEP_S, DIGITS = 30, 6
#: Steps by which the clock of a phone may differ, in either direction (RFC 6238, 6).
DRIFT_STEPS = 1
#: Who issued a secret, as an authenticator app lists it.
ISSUER = "DoseQR"


def new_secret() -> str:
    """Return a new secret of 160 bits (RFC 4226, 4), in base 32."""
    from pyotp import random_base32  # noqa: PLC0415

    return random_base32()


def provisioning_uri(secret: str, account: str) -> str:
    """Return the `otpauth` address that an authenticator app reads from a QR code."""
    from pyotp import TOTP  # noqa: PLC0415

    return TOTP(secret).provisioning_uri(name=account, issuer_name=ISSUER)


def qr_code(text: str) -> str:
    """Return a text as QR code: an SVG element without styles, dark on light in every theme."""
    from segno import make  # noqa: PLC0415

    return make(text, error="m").svg_inline(scale=5, border=4, dark="#000", light="#fff")


def matching_step(secret: str, code: str, now: datetime, *, after: int) -> int | None:
    """Return the step to which a code belongs, if it is one near now and later than `after`; else None."""
    from pyotp import TOTP  # noqa: PLC0415

    if len(code) != DIGITS or not (code.isascii() and code.isdecimal()):
        return None
    totp, step = TOTP(secret), int(now.timestamp()) // STEP_S
    matches = [
        near
        for near in range(step - DRIFT_STEPS, step + DRIFT_STEPS + 1)
        # All are compared, so that the time that this takes reveals nothing.
        if hmac.compare_digest(totp.generate_otp(near), code)
    ]
    return next((match for match in matches if match > after), None)
