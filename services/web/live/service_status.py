"""Whether the broker can be reached and which services have workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from services.web.language import gettext, lazy_gettext, number_text, translated
from shared.broker.port import Broker
from shared.broker.topology import QUEUES
from shared.contract.text import StoreState
from shared.errors import BrokerAwayError, PermanentError

log = structlog.get_logger(__name__)

#: Seconds for which the state of the queues is cached.
MAX_AGE_S = 1.0

#: What stops while a service has no worker.
WORK = {
    "echo": lazy_gettext("Nodes are not tested"),
    "query": lazy_gettext("Queries wait"),
    "retrieve": lazy_gettext("Retrieves wait"),
    "store": lazy_gettext("DoseQR's own store does not listen"),
}


@dataclass(frozen=True, slots=True)
class ServiceWorkers:
    """Whether the broker is away, and which services have no worker."""

    broker_away: bool
    unattended: frozenset[str]
    #: Commands that wait in the queue of each service.
    waiting: Mapping[str, int] = field(default_factory=dict)

    def complaints(self, services: Iterable[str], broker: str) -> list[Complaint]:
        """Return the complaints about these services, each with the command to start."""
        if self.broker_away:
            return [
                Complaint(
                    gettext(
                        "The message broker (%(broker)s) cannot be reached. Nothing can be ordered until it"
                        " is back: start RabbitMQ, or check DOSEQR_AMQP_URL.",
                        broker=broker,
                    ),
                    "",
                )
            ]
        return [
            Complaint(
                gettext(
                    "%(effect)s: no %(service)s worker listens. Start one with:",
                    effect=WORK[service],
                    service=service,
                ),
                f"doseqr serve {service}",
            )
            for service in services
            if service in self.unattended
        ]


@dataclass(frozen=True, slots=True)
class Complaint:
    """A problem, and the command that fixes it (may be empty)."""

    text: str
    command: str


def store_complaints(states: Iterable[StoreState]) -> list[Complaint]:
    """Return why DoseQR's own store takes no objects, by its own word: nothing that the PACS can help."""
    complaints: list[Complaint] = []
    for state in states:
        if state.problem:
            text = gettext(
                "DoseQR's own store takes no objects: %(problem)s. This is not the PACS's fault.",
                problem=translated(state.problem),
            )
        elif state.refused_recently:
            text = gettext(
                "DoseQR's own store refused %(number)s objects in the last minute because of its machine.",
                number=number_text(state.refused_recently),
            )
        else:
            continue
        complaint = Complaint(text, "")
        if complaint not in complaints:
            complaints.append(complaint)
    return complaints


class ServiceStatus:
    """Reads the state of the queues at most once a second, one thread at a time."""

    def __init__(self, broker: Broker, max_age_s: float = MAX_AGE_S) -> None:
        self._broker = broker
        self._max_age_s = max_age_s
        self._lock = threading.Lock()
        self._workers: ServiceWorkers | None = None
        self._checked_at = 0.0

    def current(self) -> ServiceWorkers:
        """Return the present state; while another thread refreshes it, the previous one."""
        workers = self._workers
        if workers is not None and time.monotonic() - self._checked_at < self._max_age_s:
            return workers
        # A broker that does not respond must not block every page: only the first caller waits.
        if not self._lock.acquire(blocking=workers is None):
            assert workers is not None
            return workers
        try:
            self._workers = self._check()
            self._checked_at = time.monotonic()
            return self._workers
        finally:
            self._lock.release()

    def complaints(self, *services: str) -> list[Complaint]:
        """Return the complaints about these services."""
        return self.current().complaints(services, self._broker.description)

    def _check(self) -> ServiceWorkers:
        try:
            states = {spec.name: self._broker.queue_state(spec.name) for spec in QUEUES}
        except BrokerAwayError:
            return ServiceWorkers(broker_away=True, unattended=frozenset())
        except PermanentError as error:
            # Nobody is reported as missing because the page may not count.
            log.debug("queues not counted", error=str(error))
            return ServiceWorkers(broker_away=False, unattended=frozenset())
        quiet = (name for name, state in states.items() if state.consumers == 0)
        return ServiceWorkers(
            broker_away=False,
            unattended=frozenset(name.partition("-")[0] for name in quiet),
            waiting={name: state.ready for name, state in states.items()},
        )
