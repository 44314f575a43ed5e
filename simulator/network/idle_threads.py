"""Lets the two threads of an association wait; in pynetdicom each polls a thousand times a second."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable

from pynetdicom.association import Association

#: States (PS3.8 9.2.1) in which the peer has to send: an A-ASSOCIATE-RQ, or something within the association.
_LISTENING = frozenset({"Sta2", "Sta6"})

#: Seconds that the serving thread waits for the reading one, before it checks whether that has ended.
_NEWS_S = 0.05


def let_threads_rest(assoc: Association, raw: Callable[[], socket.socket | None], longest_s: float) -> None:
    """Let the reading thread wait until the peer sends, and the serving thread until it was read.

    A primitive of ours that goes through pynetdicom waits `longest_s` at most. With TLS neither waits: bytes
    that TLS has buffered do not show on the socket.
    """
    news = threading.Event()
    poll = assoc.dul._is_transport_event  # noqa: SLF001

    def rest() -> bool:
        news.set()
        nothing_to_do = assoc.dul.event_queue.empty() and assoc.dul.to_provider_queue.empty()
        if nothing_to_do and assoc.dul.state_machine.current_state in _LISTENING:
            _wait_for(raw(), longest_s)
        return poll()

    assoc.dul._is_transport_event = rest  # type: ignore[method-assign]  # noqa: SLF001
    assoc._reactor_checkpoint = _Checkpoint(news)  # noqa: SLF001


def _wait_for(sock: socket.socket | None, longest_s: float) -> None:
    if sock is None or isinstance(sock, ssl.SSLSocket):
        return
    waiter = select.poll()
    # A closed socket has no number any more.
    with contextlib.suppress(OSError, ValueError):
        waiter.register(sock, select.POLLIN)
        waiter.poll(longest_s * 1000)


class _Checkpoint(threading.Event):
    """Passed by the serving thread before each poll; it waits here for the reading thread."""

    def __init__(self, news: threading.Event) -> None:
        super().__init__()
        self._news = news
        self.set()

    def wait(self, timeout: float | None = None) -> bool:
        self._news.wait(_NEWS_S)
        self._news.clear()
        return super().wait(timeout)
