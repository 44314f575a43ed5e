"""The HTTP server against slow, huge and many requests."""

from __future__ import annotations

import http.client
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
from flask import Flask, request

from services.web.http_server.request_reader import CONNECTIONS_OF_ADDRESS
from services.web.http_server.server import HttpServer
from tests.support.ports import free_port
from tests.support.waiting import wait_until

THREADS = 4
#: The server's clock runs so many times faster, so that its deadlines pass within a test.
FASTER = 20


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """Let go of the requests that `/slow` holds."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def app(held: threading.Event) -> Flask:
    made = Flask(__name__)
    made.add_url_rule("/health/live", view_func=lambda: "alive", endpoint="live")
    made.add_url_rule("/page", view_func=lambda: "page", endpoint="page")
    made.add_url_rule("/slow", view_func=lambda: str(held.wait(60)), endpoint="slow")
    made.add_url_rule(
        "/form", view_func=lambda: str(len(request.get_data())), endpoint="form", methods=["POST"]
    )
    return made


@pytest.fixture
def serve(app: Flask) -> Iterator[Callable[..., int]]:
    """Serve the app, and return its port."""
    with ExitStack() as stack:

        def start(**options: object) -> int:
            port = free_port()
            server = HttpServer(app, "127.0.0.1", port, THREADS, **options)  # type: ignore[arg-type]
            server.start()
            stack.callback(server.stop)
            return port

        yield start


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 20)


def get(port: int, path: str, timeout_s: float = 20) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()


def test_slow_heads_hold_no_worker(serve):
    # Given: many more connections than threads, each in the middle of its head
    port = serve()
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(port)) for _ in range(70)]
        for connection in slow:
            connection.sendall(b"GET /page HTTP/1.1\r\nHost: a\r\nX: y\r\n")
        # When: the best of three, since the machine may be busy
        took_s = []
        for _ in range(3):
            began = time.monotonic()
            health, page = get(port, "/health/live"), get(port, "/page")
            took_s.append(time.monotonic() - began)
            assert (health, page) == ((200, "alive"), (200, "page"))
    # Then
    assert min(took_s) < 1


def test_a_head_that_drips_is_ended_at_its_deadline(serve):
    # Given
    port = serve(clock=lambda: time.monotonic() * FASTER)
    with connect(port) as slow:
        slow.sendall(b"GET /page HTTP/1.1\r\n")
        # When: a header line now and then never lets the socket itself time out
        received = drip(slow, b"X: y\r\n")
    # Then
    assert b" 408 " in received


def test_a_body_that_drips_is_ended_at_its_deadline(serve):
    # Given
    port = serve(clock=lambda: time.monotonic() * FASTER)
    with connect(port) as slow:
        slow.sendall(b"POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        # When
        received = drip(slow, b"y")
    # Then
    assert b" 408 " in received


def drip(connection: socket.socket, piece: bytes) -> bytes:
    """Send a piece ten times a second until the server ends the connection; return what it sent."""
    connection.settimeout(0.1)
    received = b""
    for _ in range(300):
        try:
            connection.sendall(piece)
            chunk = connection.recv(4096)
        except TimeoutError:
            continue
        except OSError:
            return received
        if not chunk:
            return received
        received += chunk
    pytest.fail("the server waits for ever")


def test_health_responds_while_all_workers_are_busy(serve, held):
    # Given
    port = serve()
    with ExitStack() as stack:
        for _ in range(THREADS + 2):
            busy = stack.enter_context(connect(port))
            busy.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        # When / Then
        assert get(port, "/health/live", 5) == (200, "alive")
        held.set()


def test_a_huge_header_is_refused_while_it_comes(serve):
    # Given
    port = serve()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with connect(port) as huge:
        huge.sendall(b"GET /page HTTP/1.1\r\nX: ")
        # When
        with pytest.raises(ConnectionError):
            send_without_end(huge)
    # Then: maximum resident set in KiB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 << 10


def send_without_end(connection: socket.socket) -> None:
    for _ in range(400):
        connection.sendall(b"y" * (1 << 20))


def test_connections_of_one_address_are_limited(serve):
    # Given
    port = serve()
    with ExitStack() as stack:
        for _ in range(CONNECTIONS_OF_ADDRESS):
            stack.enter_context(connect(port)).sendall(b"GET /page HTTP/1.1\r\n")
        # When
        wait_until(lambda: get(port, "/page")[0] == 503, 5)
    # Then: their place is free again
    wait_until(lambda: get(port, "/page")[0] == 200, 5)


def test_behind_a_proxy_one_address_stands_for_all(serve):
    # Given
    port = serve(trusted_proxies=1)
    with ExitStack() as stack:
        for _ in range(CONNECTIONS_OF_ADDRESS + 10):
            stack.enter_context(connect(port)).sendall(b"GET /page HTTP/1.1\r\n")
        # When / Then
        assert get(port, "/page") == (200, "page")


def test_a_connection_serves_requests_one_after_the_other(serve):
    # Given
    port = serve()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        # When
        bodies = []
        for size in (0, 5, 1 << 20):
            connection.request("POST", "/form", b"y" * size)
            bodies.append(connection.getresponse().read())
    # Then
    assert bodies == [b"0", b"5", b"%d" % (1 << 20)]


def test_requests_sent_together_get_responses_in_order(serve):
    # Given
    port = serve()
    with connect(port) as connection:
        # When
        connection.sendall(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(4096), b""))
    # Then
    assert [received.count(text) for text in (b"page", b"alive")] == [2, 1]


def test_a_client_that_waits_to_send_its_body_gets_100_continue(serve):
    # Given
    port = serve()
    with connect(port) as connection:
        head = b"POST /form HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        connection.sendall(head)
        # When
        interim = connection.recv(4096)
        connection.sendall(b"ab")
        # Then
        assert interim.startswith(b"HTTP/1.1 100 ")
        assert b"200 OK" in connection.recv(4096)
