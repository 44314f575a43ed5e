"""Hundreds of open pages: events reach all of them at once, one thread writes, and other pages respond."""

from __future__ import annotations

import http.client
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.web.http_server import event_writer
from services.web.http_server.server import HttpServer
from shared.contract.messages import Accepted
from tests.support.ports import free_port
from tests.support.services.web import Person, Site
from tests.support.waiting import wait_until

PAGES = 200
THREADS = 8
ROUNDS = 12
RECEIVED_WITHIN_S = 1.0
#: Bytes by which so many rounds of events may let the process grow.
GROWTH_BYTES = 6 << 20


class OpenPages:
    """Streams of events over real connections."""

    def __init__(self, port: int, cookie: str) -> None:
        self.port, self.cookie = port, cookie
        self.selector = selectors.DefaultSelector()
        self.received: dict[socket.socket, bytes] = {}

    def open(self, followed: str = "q1") -> socket.socket:
        """Open a page; returns once the head and the first line have come."""
        connection = socket.create_connection(("127.0.0.1", self.port), 20)
        request = f"GET /live?follow={followed} HTTP/1.1\r\nHost: localhost\r\nCookie: {self.cookie}\r\n\r\n"
        connection.sendall(request.encode())
        received = b""
        while b"retry:" not in received and (more := connection.recv(4096)):
            received += more
        assert received.startswith(b"HTTP/1.1 200"), received
        connection.setblocking(False)
        self.selector.register(connection, selectors.EVENT_READ)
        self.received[connection] = b""
        return connection

    def receive_all(self, text: bytes, within_s: float) -> float:
        """Return the seconds after which each page has received a text."""
        began = time.monotonic()
        lacking = set(self.received)
        while lacking and time.monotonic() - began < within_s:
            for key, _ in self.selector.select(0.1):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                self.received[connection] += connection.recv(65536)
                if text in self.received[connection]:
                    lacking.discard(connection)
        assert not lacking, f"{len(lacking)} of {len(self.received)} pages received nothing"
        for connection in self.received:
            self.received[connection] = b""
        return time.monotonic() - began

    def close(self) -> None:
        for connection in self.received:
            connection.close()
        self.selector.close()


@pytest.fixture
def pages(site: Site) -> Iterator[OpenPages]:
    """A served site, and the pages that a person opens there."""
    port = free_port()
    with ExitStack() as stack:
        server = HttpServer(site.app, "127.0.0.1", port, THREADS)
        server.start()
        stack.callback(server.stop)
        stack.callback(site.components.live.close)
        opened = OpenPages(port, cookie_of(site.person("viewer")))
        stack.callback(opened.close)
        yield opened


def cookie_of(person: Person) -> str:
    cookie = person.client.get_cookie("doseqr_session")
    assert cookie is not None
    return f"doseqr_session={cookie.value}"


def get_page(pages: OpenPages, path: str) -> tuple[int, float]:
    """Return the status of a page, and the seconds that it took."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", pages.port, timeout=20)
    connection.request("GET", path, headers={"Cookie": pages.cookie})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, time.monotonic() - began


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def test_two_hundred_open_pages_are_live_with_one_thread(site: Site, pages: OpenPages) -> None:
    # Given
    get_page(pages, "/jobs")
    threads = threading.active_count()
    for _ in range(PAGES):
        pages.open()
    assert site.components.live.open_streams == PAGES
    assert threading.active_count() == threads
    # When: a query runs and reports its progress
    took_s: list[float] = []
    grown_from = 0
    for number in range(ROUNDS):
        if number == 2:
            grown_from = resident_bytes()
        site.publisher.event(Accepted(job_id="q1", kind="query"), "query", "q1")
        took_s.append(pages.receive_all(b"data: q1\n\n", 10))
        # Then: other pages respond meanwhile
        status, page_s = get_page(pages, "/jobs")
        assert status == 200
        assert page_s < RECEIVED_WITHIN_S
    assert sorted(took_s)[ROUNDS // 2] < RECEIVED_WITHIN_S, took_s
    assert resident_bytes() - grown_from < GROWTH_BYTES


def test_a_page_that_is_closed_gives_its_place_back(site: Site, pages: OpenPages) -> None:
    # Given
    opened = [pages.open() for _ in range(5)]
    # When
    for connection in opened[:3]:
        pages.selector.unregister(connection)
        del pages.received[connection]
        connection.close()
    # Then
    wait_until(lambda: site.components.live.open_streams == 2)
    site.publisher.event(Accepted(job_id="q1", kind="query"), "query", "q1")
    pages.receive_all(b"data: q1\n\n", 10)


def test_a_stream_ends_after_its_time_with_a_whole_chunk(
    site: Site, pages: OpenPages, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setattr(event_writer, "STREAM_S", 0.3)
    # When
    connection = pages.open()
    # Then
    pages.receive_all(b"0\r\n\r\n", 10)
    connection.settimeout(10)
    assert connection.recv(1) == b""
    wait_until(lambda: site.components.live.open_streams == 0)


def test_a_page_beyond_the_limit_is_refused_and_polls(
    site: Site, pages: OpenPages, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setattr(event_writer, "STREAMS", 2)
    for _ in range(2):
        pages.open()
    # When
    status, _ = get_page(pages, "/live?follow=q1")
    # Then
    assert status == 503
    assert site.components.live.open_streams == 2


def test_a_page_that_does_not_read_is_dropped(
    site: Site, pages: OpenPages, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: a reader whose window is full at once, beside one that reads
    monkeypatch.setattr(event_writer, "STALLED_S", 0.2)
    monkeypatch.setattr(event_writer, "GAP_S", 0.0)
    slow = pages.open()
    pages.selector.unregister(slow)
    del pages.received[slow]
    pages.open()

    def dropped() -> bool:
        # Many subjects make a long text; the window of a socket on loopback holds megabytes.
        for _ in range(200):
            site.publisher.event(Accepted(job_id="q1", kind="query"), "query", "q1")
        pages.receive_all(b"data: q1\n\n", 10)
        return site.components.live.open_streams == 1

    # When / Then
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    wait_until(dropped)
    slow.close()
