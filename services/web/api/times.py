"""Times in query strings and cursors, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

from services.web.api.keyset_page import wrong_cursor
from services.web.api.problems import ProblemError


def cursor_time(text: str) -> datetime:
    """Return the time in the cursor of a page.

    Raises:
        ProblemError: 422, it is none.
    """
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong_cursor() from None


def in_utc(field: str, moment: datetime | None) -> datetime | None:
    """Return the time in UTC.

    Raises:
        ProblemError: 422, it is beyond the calendar.
    """
    if moment is None:
        return None
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"{field}: is out of range", field=field
        ) from None
