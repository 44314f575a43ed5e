"""One request in pieces, and the limits that it must keep."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.web.http_server.request_buffer import (
    BODY_BYTES,
    BODY_S,
    HEAD_BYTES,
    HEAD_S,
    HEADERS,
    REQUEST_LINE_BYTES,
    RequestBuffer,
    RequestRefusedError,
)

POST = b"POST /login?next=/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


@given(st.lists(st.integers(min_value=1, max_value=len(POST)), max_size=20))
def test_a_request_is_complete_however_it_is_cut(cuts: list[int]) -> None:
    # Given
    request = RequestBuffer(0.0)
    bounds = sorted({0, *cuts, len(POST)})
    # When
    for first, last in itertools.pairwise(bounds):
        assert not request.complete
        request.feed(POST[first:last], 0.0)
    # Then
    assert request.complete
    assert request.path == b"/login"
    assert request.take() == (POST, b"")


def test_what_follows_a_request_is_kept_for_the_next():
    # Given
    request = RequestBuffer(0.0)
    # When
    request.feed(b"\r\nGET /a HTTP/1.1\r\n\r\nGET /b HTTP", 0.0)
    # Then
    assert request.take() == (b"GET /a HTTP/1.1\r\n\r\n", b"GET /b HTTP")


def test_only_the_end_of_the_head_moves_the_deadline():
    # Given
    request = RequestBuffer(0.0)
    # When
    request.feed(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n", 9.0)
    during_head = request.deadline
    request.feed(b"\r\n1", 9.5)
    after_head = request.deadline
    request.feed(b"2", 20.0)
    # Then
    assert (during_head, after_head, request.deadline) == (HEAD_S, 9.5 + BODY_S, 9.5 + BODY_S)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * REQUEST_LINE_BYTES, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * HEAD_BYTES, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (HEADERS + 1) + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (BODY_BYTES + 1), 413),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    ],
)
def test_a_request_beyond_a_limit_is_refused(sent, status):
    # Given
    request = RequestBuffer(0.0)
    # When
    with pytest.raises(RequestRefusedError) as refused:
        request.feed(sent, 0.0)
    # Then
    assert refused.value.status == status


def test_a_request_at_its_limits_is_taken():
    # Given
    request = RequestBuffer(0.0)
    # When
    request.feed(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * HEADERS + b"\r\n", 0.0)
    # Then
    assert request.complete
