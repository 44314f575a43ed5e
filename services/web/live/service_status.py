"""Whether somebody would do the work: the broker can be reached, and workers listen."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from shared.broker.port import Broker
from shared.broker.topology import QUEUES
from shared.errors import BrokerAwayError

#: A look at the queues is believed for so long, in seconds, however many pages ask.
BELIEVED_S = 1.0

#: What a service does, for people.
WORK = {
    "echo": "Nodes are not tested",
    "query": "Queries wait",
    "retrieve": "Retrieves wait",
    "store": "DoseQR's own store does not listen",
}


@dataclass(frozen=True, slots=True)
class ServiceWorkers:
    """How it stands: whether the broker answers, and which services nobody runs."""

    broker_away: bool
    deserted: frozenset[str]

    def complaints(self, services: Iterable[str], broker: str) -> list[Complaint]:
        """Return what is in the way of these services, and what to start."""
        if self.broker_away:
            return [
                Complaint(
                    f"The message broker ({broker}) cannot be reached. Nothing can be asked for until it is"
                    " back: start RabbitMQ, or check DOSEQR_AMQP_URL.",
                    "",
                )
            ]
        return [
            Complaint(
                f"{WORK[service]}: no {service} worker listens. Start one with:", f"doseqr serve {service}"
            )
            for service in services
            if service in self.deserted
        ]


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is in the way, and the command that mends it (may be empty)."""

    text: str
    command: str


class ServiceStatus:
    """Looks at the queues at most once a second, one thread at a time."""

    def __init__(self, broker: Broker, believed_s: float = BELIEVED_S) -> None:
        self._broker = broker
        self._believed_s = believed_s
        self._lock = threading.Lock()
        self._staff: ServiceWorkers | None = None
        self._looked_at = 0.0

    def look(self) -> ServiceWorkers:
        """Return how it stands; while another thread looks, how it stood."""
        staff = self._staff
        if staff is not None and time.monotonic() - self._looked_at < self._believed_s:
            return staff
        # A broker that does not answer must not hold every page: only the first look has to be waited for.
        if not self._lock.acquire(blocking=staff is None):
            assert staff is not None
            return staff
        try:
            self._staff = self._ask()
            self._looked_at = time.monotonic()
            return self._staff
        finally:
            self._lock.release()

    def complaints(self, *services: str) -> list[Complaint]:
        """Return what is in the way of these services."""
        return self.look().complaints(services, self._broker.description)

    def _ask(self) -> ServiceWorkers:
        try:
            quiet = {spec.name for spec in QUEUES if self._broker.queue_state(spec.name).consumers == 0}
        except BrokerAwayError:
            return ServiceWorkers(broker_away=True, deserted=frozenset())
        return ServiceWorkers(broker_away=False, deserted=frozenset(name.partition("-")[0] for name in quiet))
