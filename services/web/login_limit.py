"""How often passwords may be tried: by account, by address, and how many are checked at once."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

#: Failures after which an account or an address has to pause.
FREE_FAILURES = 10
#: Seconds of the first pause; each further failure doubles it.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 900.0
#: Seconds without a failure after which failures are forgotten.
FORGET_S = 3600.0
#: Passwords that are checked at once, and that may wait for it: a check costs 19 MiB and some 50 ms of CPU.
CHECKS_AT_ONCE, CHECKS_WAITING = 2, 8
#: Seconds that a check waits for its turn.
CHECK_WAIT_S = 5.0
#: Accounts and addresses that are remembered; the ones longest without a failure are forgotten first.
REMEMBERED = 10_000


@dataclass(slots=True)
class _Failures:
    number: int = 0
    last_at: float = 0.0
    paused_until: float = 0.0


class PauseRequiredError(Exception):
    """Too many passwords were wrong, or too many are being checked; `pause_s` is how long to wait."""

    def __init__(self, pause_s: float) -> None:
        super().__init__(f"wait {pause_s:.0f} s")
        self.pause_s = pause_s


class LoginLimit:
    """Counts attempts before they are checked, so that parallel ones cannot slip through; thread-safe.

    An account is counted on its own for each address from which its owner has logged in before: whoever
    guesses from elsewhere cannot lock the owner out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._checks = threading.BoundedSemaphore(CHECKS_AT_ONCE)
        self._waiting = 0

    @contextmanager
    def attempt(self, account: str, address: str) -> Iterator[Callable[[], None]]:
        """Count an attempt and wait for the turn of its check; call what it yields if the password was right.

        Raises:
            PauseRequiredError: the account or the address has to pause, or too many checks are waiting.
        """
        keys = self._keys(account, address)
        self._check_pause(keys)
        self._turn()
        try:
            self._count(keys)
            yield lambda: self._succeeded(account, address, keys)
        finally:
            self._checks.release()

    def _turn(self) -> None:
        with self._lock:
            if self._waiting >= CHECKS_WAITING + CHECKS_AT_ONCE:
                raise PauseRequiredError(CHECK_WAIT_S)
            self._waiting += 1
        try:
            if not self._checks.acquire(timeout=CHECK_WAIT_S):
                raise PauseRequiredError(CHECK_WAIT_S)
        finally:
            with self._lock:
                self._waiting -= 1

    def _check_pause(self, keys: tuple[str, str]) -> None:
        now = self._clock()
        with self._lock:
            known = [self._failures[key] for key in keys if key in self._failures]
        pause_s = max((entry.paused_until - now for entry in known), default=0.0)
        if pause_s > 0:
            raise PauseRequiredError(pause_s)

    def _count(self, keys: tuple[str, str]) -> None:
        now = self._clock()
        with self._lock:
            entries = [self._entry(key, now) for key in keys]
            pause_s = max(entry.paused_until for entry in entries) - now
            if pause_s > 0:
                raise PauseRequiredError(pause_s)
            for entry in entries:
                entry.number += 1
                entry.last_at = now
                if entry.number >= FREE_FAILURES:
                    # The exponent is bounded: 2 ** 1024 would be no float.
                    doublings = min(entry.number - FREE_FAILURES, 16)
                    entry.paused_until = now + min(FIRST_PAUSE_S * 2.0**doublings, LONGEST_PAUSE_S)

    def _succeeded(self, account: str, address: str, keys: tuple[str, str]) -> None:
        account_key, address_key = keys
        with self._lock:
            self._failures.pop(account_key, None)
            of_address = self._failures.get(address_key)
            if of_address is not None:
                # Only this attempt: a right password of one's own must not pay for guessing others.
                of_address.number -= 1
                if of_address.number < FREE_FAILURES:
                    of_address.paused_until = 0.0
            self._known[_folded(account), network_of(address)] = None
            self._known.move_to_end((_folded(account), network_of(address)))
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def _entry(self, key: str, now: float) -> _Failures:
        entry = self._failures.get(key)
        if entry is None or now - entry.last_at > FORGET_S:
            entry = self._failures[key] = _Failures()
        self._failures.move_to_end(key)
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)
        return entry

    def _keys(self, account: str, address: str) -> tuple[str, str]:
        network = network_of(address)
        with self._lock:
            known = (_folded(account), network) in self._known
        return f"account {_folded(account)} {network if known else ''}", f"address {network}"


def network_of(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _folded(account: str) -> str:
    return account.strip().casefold()[:64]
