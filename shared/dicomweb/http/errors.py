"""What an HTTP status of a DICOMweb server means, as an error of a peer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from shared.dicom.errors import Outcome, PeerError

#: DIMSE statuses with the same meaning: out of resources, identifier does not match, unable to process.
#: The work above decides by them, whichever way a node is called.
TOO_MUCH, REFUSED_KEYS, UNABLE = 0xA700, 0xA900, 0xC000

#: Seconds that are waited at most on a server's word, and where a busy one names no time.
RETRY_AFTER_MOST_S, RETRY_AFTER_DEFAULT_S = 600.0, 5.0


class WebStatusError(PeerError):
    """A DICOMweb server responded with an HTTP status that is no success, or with part of what there is."""

    http_status: int

    def __init__(
        self,
        outcome: Outcome,
        detail: str,
        *,
        http_status: int,
        status_code: int | None = None,
        permanent: bool = False,
        congested: bool = False,
        associating: bool = False,
    ) -> None:
        super().__init__(
            outcome,
            detail,
            status_code=status_code,
            http_status=http_status,
            permanent=permanent,
            congested=congested,
            associating=associating,
        )


def error_of_status(http_status: int, where: str, retry_at: datetime | None = None) -> WebStatusError:
    """Return what an HTTP status means (RFC 9110 15, PS3.18 8.5); `where` names the resource."""
    status = f"{http_status} {_reason(http_status)}".strip()
    if http_status == HTTPStatus.UNAUTHORIZED:
        detail = f"HTTP {status} for {where}; check the node's authentication and its secret"
        return _denied(Outcome.UNAUTHORIZED, detail, http_status)
    if http_status == HTTPStatus.FORBIDDEN:
        detail = f"HTTP {status} for {where}; the user or client is known there, and may not do this"
        return _denied(Outcome.FORBIDDEN, detail, http_status)
    detail = f"HTTP {status} for {where}"
    if http_status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return WebStatusError(Outcome.NOT_FOUND, detail, http_status=http_status)
    if http_status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        detail = f"HTTP {status} for {where}; the server is busy"
        error = WebStatusError(
            Outcome.STATUS,
            detail,
            http_status=http_status,
            congested=True,
            associating=True,
        )
        error.retry_at = retry_at
        return error
    if HTTPStatus.MULTIPLE_CHOICES <= http_status < HTTPStatus.BAD_REQUEST:
        detail = (
            f"HTTP {status} for {where}; redirections are not followed: enter the address to which it leads"
        )
        return _denied(Outcome.NO_DICOMWEB, detail, http_status)
    return WebStatusError(
        Outcome.STATUS,
        detail,
        http_status=http_status,
        status_code=_dimse_status(http_status),
        permanent=http_status in _PERMANENT,
    )


def retry_at_of(value: str, now: datetime) -> datetime:
    """Return when a Retry-After allows the next request (RFC 9110 10.2.3); never far away."""
    text = value.strip()
    wait_s = RETRY_AFTER_DEFAULT_S
    if text.isascii() and text.isdecimal():
        wait_s = float(text[:9])
    elif text:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            pass
        else:
            wait_s = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return now + timedelta(seconds=min(max(wait_s, 1.0), RETRY_AFTER_MOST_S))


_PERMANENT = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.REQUEST_URI_TOO_LONG,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.NOT_IMPLEMENTED,
    }
)


def _dimse_status(http_status: int) -> int | None:
    if http_status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TOO_MUCH
    if http_status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT, HTTPStatus.REQUEST_TIMEOUT):
        return None  # of something in between: nothing follows about the request
    return REFUSED_KEYS if http_status < HTTPStatus.INTERNAL_SERVER_ERROR else UNABLE


def _denied(outcome: Outcome, detail: str, http_status: int) -> WebStatusError:
    return WebStatusError(outcome, detail, http_status=http_status, permanent=True, associating=True)


def _reason(http_status: int) -> str:
    try:
        return HTTPStatus(http_status).phrase
    except ValueError:
        return ""
