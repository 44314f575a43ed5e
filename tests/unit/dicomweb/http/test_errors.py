"""Each HTTP status leads to the error on which the work above decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.query.completion import failure_of
from services.query.futile_search import FutileSearchError
from services.retrieve.planning.c_move_outcome import reason_of
from shared.contract.reasons import Reason
from shared.dicom.errors import Outcome
from shared.dicomweb.http.address import web_address
from shared.dicomweb.http.errors import error_of_status, retry_at_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("http_status", "outcome", "code", "permanent", "peer_away"),
    [
        (400, Outcome.STATUS, "http_400", True, False),
        (401, Outcome.UNAUTHORIZED, "authentication_failed", True, False),
        (403, Outcome.FORBIDDEN, "access_denied", True, False),
        (404, Outcome.NOT_FOUND, "not_found", False, False),
        (406, Outcome.STATUS, "http_406", True, False),
        (413, Outcome.STATUS, "http_413", False, False),
        (414, Outcome.STATUS, "http_414", True, False),
        (429, Outcome.STATUS, "http_429", False, True),
        (500, Outcome.STATUS, "http_500", False, False),
        (502, Outcome.STATUS, "http_502", False, False),
        (503, Outcome.STATUS, "http_503", False, True),
        (302, Outcome.NO_DICOMWEB, "no_web_service_there", True, False),
        (799, Outcome.STATUS, "http_799", False, False),
    ],
)
def test_a_status_has_an_outcome(http_status, outcome, code, permanent, peer_away):
    # When
    error = error_of_status(http_status, "studies")
    # Then
    assert (error.outcome, error.code) == (outcome, code)
    assert (error.permanent, error.peer_away) == (permanent, peer_away)
    assert f"HTTP {http_status}" in str(error)
    assert "0x" not in str(FutileSearchError(error, 15))
    assert FutileSearchError(error, 15).code == code


def test_too_much_and_refused_keys_have_the_status_of_a_c_find():
    assert error_of_status(413, "studies").status_code == 0xA700
    assert error_of_status(400, "studies").status_code == 0xA900


@pytest.mark.parametrize(
    ("http_status", "failure", "reason"),
    [
        (400, Reason.HTTP_ERROR, Reason.HTTP_ERROR),
        (401, Reason.ACCESS_REFUSED, Reason.ACCESS_REFUSED),
        (403, Reason.ACCESS_REFUSED, Reason.ACCESS_REFUSED),
        (404, Reason.NOT_FOUND, Reason.NOT_FOUND),
        (413, Reason.HTTP_ERROR, Reason.OUT_OF_RESOURCES),
        (500, Reason.HTTP_ERROR, Reason.HTTP_ERROR),
        (502, Reason.HTTP_ERROR, Reason.HTTP_ERROR),
        (503, Reason.NODE_BUSY, Reason.NODE_BUSY),
        (302, Reason.NO_DICOMWEB, Reason.NO_DICOMWEB),
    ],
)
def test_jobs_and_objects_fail_for_the_same_reason(http_status, failure, reason):
    # When
    error = error_of_status(http_status, "studies")
    # Then
    assert (failure_of(error), reason_of(error)) == (failure, reason)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 1),
        ("999999999", 600),
        ("Thu, 01 Jan 2026 12:01:00 GMT", 60),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 1),
        ("soon", 5),
        ("", 5),
    ],
)
def test_a_busy_server_is_waited_for_within_bounds(value, seconds):
    assert retry_at_of(value, NOW) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("https://pacs/dicom-web/", "pacs", "/dicom-web"),
        ("http://pacs:8042", "pacs:8042", ""),
        ("https://[::1]:8443/x", "[::1]:8443", "/x"),
    ],
)
def test_an_address_is_taken_apart(url, authority, path):
    # When
    address = web_address(url)
    # Then
    assert (address.authority, address.path) == (authority, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pacs/dicom-web",
        "ftp://pacs/",
        "https://",
        "https://user:secret@pacs/",
        "https://pacs/?a=b",
        "https://pacs/#x",
        "https://pacs:0/",
        "https://pacs:99999/",
        "https://pacs/\r\nX: y",
        "https://pa cs/",
        "https://pacs/" + "x" * 600,
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ValueError, match="must"):
        web_address(url)
