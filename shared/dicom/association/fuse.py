"""A fuse for each peer: how many associations a process attempts in a minute.

It is the last check before a socket is opened, and depends on nothing but the clock: it holds when budget,
breaker or a task believe what is wrong.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import structlog

from shared.clock import utc_now
from shared.dicom.errors import NotNowError, PeerError
from shared.dicom.peer import Peer

T = TypeVar("T")

log = structlog.get_logger(__name__)

#: The time over which attempts are counted.
WINDOW_S = 60.0
#: For how long nothing is sent to a peer whose fuse has blown.
BLOWN_S = 300.0
#: Peers whose attempts are kept; beyond, those without a recent one are forgotten.
PEERS = 1000


class FuseBlownError(NotNowError):
    """A peer was called too often in a minute; nothing is sent to it until `until`."""

    def __init__(self, peer: Peer, left_s: float, detail: str) -> None:
        until = utc_now() + timedelta(seconds=left_s)
        where = f"{peer.ae_title} at {peer.host}:{peer.port}"
        note = f"the fuse of {where} has blown: {detail}; nothing is sent to it until {until:%H:%M:%S} UTC"
        super().__init__(until, note, whole_node=True)


@dataclass(slots=True)
class _Attempts:
    """Attempts of the last minute, by monotonic time, and until when the fuse has blown."""

    begun: deque[float] = field(default_factory=deque)
    failed: deque[float] = field(default_factory=deque)
    blown_until: float = 0.0
    detail: str = ""

    def forget(self, before: float) -> None:
        for times in (self.begun, self.failed):
            while times and times[0] < before:
                times.popleft()


class Fuse:
    """Counts the attempts of one process; safe from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._peers: dict[tuple[str, int, str], _Attempts] = {}

    @contextmanager
    def attempt(self, peer: Peer) -> Iterator[None]:
        """Count the attempt of the block, and whether it led to an association.

        Raises:
            FuseBlownError: it may not begin.
        """
        self._begin(peer)
        try:
            yield
        except PeerError:
            with self._lock:
                now = self._clock()
                self._attempts_of(peer, now).failed.append(now)
            raise

    def guarding(self, peer: Peer, associate: Callable[[str], T]) -> Callable[[str], T]:
        """Return the same function, each call of which is an attempt."""

        def attempt(address: str) -> T:
            with self.attempt(peer):
                return associate(address)

        return attempt

    def _begin(self, peer: Peer) -> None:
        with self._lock:
            now = self._clock()
            attempts = self._attempts_of(peer, now)
            if now >= attempts.blown_until:
                self._blow(peer, attempts, now)
            if now < attempts.blown_until:
                raise FuseBlownError(peer, attempts.blown_until - now, attempts.detail)
            attempts.begun.append(now)

    def _blow(self, peer: Peer, attempts: _Attempts, now: float) -> None:
        ceilings = peer.ceilings
        if len(attempts.failed) >= ceilings.failed:
            attempts.detail = f"{len(attempts.failed)} associations could not be established within a minute"
        elif len(attempts.begun) >= ceilings.all:
            attempts.detail = f"{len(attempts.begun)} associations were requested within a minute"
        else:
            return
        attempts.blown_until = now + BLOWN_S
        attempts.begun.clear()
        attempts.failed.clear()
        log.error(
            "fuse blown", peer=f"{peer.host}:{peer.port}", ae_title=peer.ae_title, detail=attempts.detail
        )

    def _attempts_of(self, peer: Peer, now: float) -> _Attempts:
        key = (peer.host, peer.port, peer.ae_title)
        attempts = self._peers.get(key)
        if attempts is None:
            if len(self._peers) >= PEERS:
                self._forget(now)
            attempts = self._peers[key] = _Attempts()
        attempts.forget(now - WINDOW_S)
        return attempts

    def _forget(self, now: float) -> None:
        for key, attempts in list(self._peers.items()):
            attempts.forget(now - WINDOW_S)
            if not attempts.begun and not attempts.failed and now >= attempts.blown_until:
                del self._peers[key]


#: One for the process: it counts sockets, whichever part of the code opens them.
FUSE = Fuse()
