"""How often a log-in may fail."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

#: Failed attempts from one address: too slow to guess a password, quick enough for a forgetful person.
FAILED_LOG_INS = "10 per minute; 60 per hour"

limiter = Limiter(get_remote_address)


def failed(response: Response) -> bool:
    """Tell whether an attempt failed: one that succeeds leads to another page."""
    return response.status_code != HTTPStatus.FOUND
