"""Associations kept open between the tasks of one node that follow each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from shared.dicom.association import Link, Peer, Timeouts, open_link
from shared.dicom.cancellation import Cancellation

#: An association that nobody used for so long is released.
IDLE_S = 5.0

#: How often idle associations are looked for.
_LOOK_S = 1.0

Key = tuple[Peer, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Idle:
    link: Link
    since: float


class LinkPool:
    """Hands out associations, each to one thread at a time, and keeps them for a short while."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._idle: dict[Key, list[_Idle]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._reaper = threading.Thread(target=self._reap, name="idle-associations", daemon=True)
        self._reaper.start()

    @contextmanager
    def link(
        self, peer: Peer, abstract_syntaxes: Sequence[str], cancellation: Cancellation | None = None
    ) -> Iterator[Link]:
        """Give an association for the time of the block; a broken one is not given again.

        Raises:
            PeerError: it does not stand.
            InterruptedWorkError: stopping was asked for.
        """
        key = (peer, tuple(abstract_syntaxes))
        link = self._take(key) or open_link(
            peer, abstract_syntaxes, self._timeouts, cancellation=cancellation
        )
        try:
            yield link
        except BaseException:
            link.release()
            raise
        self._give_back(key, link)

    def close(self) -> None:
        """Release all idle associations, and those given back from now on."""
        self._closing.set()
        self._reaper.join()
        for link in self._overdue(time.monotonic() + 2 * IDLE_S):
            link.release()

    def _take(self, key: Key) -> Link | None:
        with self._lock:
            idle = self._idle.get(key, [])
            while idle:
                link = idle.pop().link
                if link.alive:
                    return link
        return None

    def _give_back(self, key: Key, link: Link) -> None:
        if self._closing.is_set() or not link.alive:
            link.release()
            return
        with self._lock:
            self._idle.setdefault(key, []).append(_Idle(link, time.monotonic()))

    def _reap(self) -> None:
        while not self._closing.wait(_LOOK_S):
            for link in self._overdue(time.monotonic()):
                link.release()

    def _overdue(self, now: float) -> list[Link]:
        overdue: list[Link] = []
        with self._lock:
            for key, idle in list(self._idle.items()):
                overdue += [one.link for one in idle if now - one.since >= IDLE_S]
                self._idle[key] = [one for one in idle if now - one.since < IDLE_S]
                if not self._idle[key]:
                    del self._idle[key]
        return overdue
