"""Rest for the two threads of an association, which pynetdicom lets look a thousand times a second each."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable

from pynetdicom.association import Association

#: States (PS3.8 9.2.1) in which it is for the peer to speak: to ask for an association, or within one.
_LISTENING = frozenset({"Sta2", "Sta6"})

#: How long the thread that serves waits for the one that reads; it also looks whether that has ended.
_NEWS_S = 0.05


def let_threads_rest(assoc: Association, raw: Callable[[], socket.socket | None], longest_s: float) -> None:
    """Let the thread that reads rest until the peer speaks, and the one that serves until it has read.

    What an own thread has to say through pynetdicom waits `longest_s` at most. With TLS nobody rests: what it
    has read already is not seen from outside.
    """
    news = threading.Event()
    look = assoc.dul._is_transport_event  # noqa: SLF001

    def rest_and_look() -> bool:
        news.set()
        nothing_to_do = assoc.dul.event_queue.empty() and assoc.dul.to_provider_queue.empty()
        if nothing_to_do and assoc.dul.state_machine.current_state in _LISTENING:
            _wait_for(raw(), longest_s)
        return look()

    assoc.dul._is_transport_event = rest_and_look  # type: ignore[method-assign]  # noqa: SLF001
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
    """What the thread that serves passes before each look; it rests there until there are news."""

    def __init__(self, news: threading.Event) -> None:
        super().__init__()
        self._news = news
        self.set()

    def wait(self, timeout: float | None = None) -> bool:
        self._news.wait(_NEWS_S)
        self._news.clear()
        return super().wait(timeout)
