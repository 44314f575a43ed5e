"""What DoseQR's own store reports of itself, so that a PACS is not blamed for a full disk of ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from services.retrieve.context import RetrieveContext
from shared.broker.port import Broker, Message, Subscription
from shared.contract.events import WorkerHeartbeat
from shared.contract.reasons import Reason
from shared.contract.text import StoreState
from shared.errors import InvalidInputError
from shared.messaging.codec import decode_event

HEARTBEATS = "worker.heartbeat.#"

#: Seconds for which a heartbeat counts: refusals of the last minute stand in it.
STATE_LASTS_S = 60.0

#: Seconds since its last heartbeat after which a store may be away; one comes every ten seconds.
BEATS_AT_LEAST_EVERY_S = 25.0

#: Moves begin while so many times the reserve are free: what is under way needs space, too.
RESERVES_TO_BEGIN = 2

#: Reasons that a PACS gives, or that show, when its C-STORE to us was refused.
_MAY_BE_OURS = frozenset(
    {Reason.OUT_OF_RESOURCES, Reason.STATUS_FAILURE, Reason.NOT_ARRIVED, Reason.MOVED_NOTHING}
)


class OwnStore:
    """Remembers the last trouble that the store's heartbeats reported; thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._problem = ""
        self._until = 0.0
        self._shortage = ""
        self._shortage_until = 0.0
        self._beat_at = float("-inf")
        self._away_until = 0.0

    def subscribe(self, broker: Broker) -> Subscription:
        """Take the store's heartbeats.

        Raises:
            BrokerAwayError: the broker cannot be reached.
        """
        return broker.subscribe([HEARTBEATS], self._receive)

    def _receive(self, message: Message) -> None:
        try:
            _, event = decode_event(message)
        except InvalidInputError:
            return
        if isinstance(event, WorkerHeartbeat) and event.store is not None:
            self.note(event.store)
        elif isinstance(event, WorkerHeartbeat) and event.service == "store":
            with self._lock:
                self._beat_at = float("-inf")

    def note(self, state: StoreState) -> None:
        """Take one state."""
        with self._lock:
            self._beat_at = self._clock()
            self._shortage, self._shortage_until = shortage_of(state), self._beat_at + STATE_LASTS_S
        if state.problem or state.refused_recently:
            with self._lock:
                self._problem = state.problem or f"it refused {state.refused_recently} objects lately"
                self._until = self._clock() + STATE_LASTS_S

    def note_away(self, *, is_away: bool) -> None:
        """Take whether new moves wait since it does not respond; who waits notes it every few seconds."""
        with self._lock:
            self._away_until = self._clock() + STATE_LASTS_S if is_away else 0.0

    @property
    def is_away(self) -> bool:
        """Whether new moves have waited lately since it does not respond."""
        with self._lock:
            return self._clock() < self._away_until

    def has_beaten_since(self, moment: float | None) -> bool:
        """Return whether a heartbeat came after this moment of the clock, and lately; None: not known."""
        with self._lock:
            is_late = self._clock() - self._beat_at > BEATS_AT_LEAST_EVERY_S
            return moment is not None and self._beat_at > moment and not is_late

    @property
    def shortage(self) -> str:
        """Why no more objects should be requested now, by its last heartbeat; empty if they may."""
        with self._lock:
            return self._shortage if self._clock() < self._shortage_until else ""

    def cause_of(self, context: RetrieveContext, reason: Reason, detail: str) -> tuple[Reason, str]:
        """Return reason and detail of a loss: our own store's, if it refuses objects, else as they are."""
        with self._lock:
            problem = self._problem if self._clock() < self._until else ""
        if not (problem and context.own_store and reason in _MAY_BE_OURS):
            return reason, detail
        return Reason.DISK_FULL, _refusal_detail(context.store.ae_title, problem, detail)


def _refusal_detail(ae_title: str, problem: str, reported: str) -> str:
    if not reported:
        return f"DoseQR's own store {ae_title} refuses objects: {problem}"
    return f"DoseQR's own store {ae_title} refuses objects: {problem}; the PACS reported: {reported}"


def shortage_of(state: StoreState) -> str:
    """Return what the store lacks; it has to stop before only the reserve is left, with moves under way."""
    if state.problem:
        return state.problem
    free, reserve = state.objects_free_bytes, state.objects_reserve_bytes
    if free is None or not reserve or free >= RESERVES_TO_BEGIN * reserve:
        return ""
    return f"{free >> 20} MiB are free on the disk of the objects, of which {reserve >> 20} stay free"
