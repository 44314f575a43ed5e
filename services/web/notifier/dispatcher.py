"""Sends what is due: each message by one replica, in a thread and a process of its own.

Who dies between claim and record leaves a lease that ends; then another sends it. So everything is sent at
least once, and twice only if the replica died after the server had accepted it.
"""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import structlog

from services.web.language import translated_into
from shared.backoff import Backoff
from shared.clock import Clock
from shared.configuration.cipher import Cipher
from shared.database.models import NotificationAddress
from shared.database.session import Database, Session
from shared.errors import DatabaseAwayError, PermanentError
from shared.metrics.process_metrics import notification_ends
from shared.notifications.addresses import target_of
from shared.notifications.outbox import (
    DeliveryClaim,
    DeliveryTerms,
    claim_next,
    give_back,
    is_due,
    mark_failed,
    mark_sent,
)
from shared.notifications.texts import message_of
from shared.notifications.transport.address import AddressPolicy
from shared.notifications.transport.sender import Sender
from shared.notifications.transport.sender_main import SendResult
from shared.process.periodic import Repeating

log = structlog.get_logger(__name__)

#: Seconds between two searches for what is due.
POLL_S = 3.0
#: Messages under way in one replica, and of these to one server: one that hangs leaves room for others.
AT_ONCE, TO_ONE_SERVER = 4, 2
#: Seconds beside those of sending for which a claim is a replica's own, to record what became of it.
RECORDING_S = 60.0


class Dispatcher:
    """Claims, sends and records."""

    def __init__(
        self,
        database: Database,
        sender: Sender,
        policy: AddressPolicy,
        cipher: Cipher,
        pauses: tuple[float, ...],
        public_url: str,
        clock: Clock,
        *,
        poll_s: float = POLL_S,
        recording_s: float = RECORDING_S,
    ) -> None:
        self._database = database
        self._sender = sender
        self._policy = policy
        self._cipher = cipher
        self._recording = timedelta(seconds=recording_s)
        self._terms = DeliveryTerms(timedelta(seconds=sender.longest_s) + self._recording, pauses)
        self._public_url = public_url
        self._clock = clock
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._servers: Counter[str] = Counter()
        self._threads: set[threading.Thread] = set()
        self._repeating = Repeating("notification dispatcher", poll_s, self.tick)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._repeating.start()

    def stop(self) -> None:
        """End it; what is under way is cut short and sent later."""
        self._stopping.set()
        self._sender.stop()
        self._repeating.stop()
        for thread in tuple(self._threads):
            thread.join()

    def tick(self) -> None:
        """Begin to send what is due, as far as there is room.

        Raises:
            DatabaseAwayError: nothing more was claimed.
        """
        while not self._stopping.is_set():
            with self._lock:
                if self._servers.total() >= AT_ONCE:
                    return
                busy = [server for server, number in self._servers.items() if number >= TO_ONE_SERVER]
            with self._database.read_outside() as session:
                if not is_due(session, self._clock()):
                    return
            with self._database.write() as session:
                claim = claim_next(session, self._clock(), self._terms, busy)
            if claim is None:
                return
            self._begin(claim)

    def _begin(self, claim: DeliveryClaim) -> None:
        thread = threading.Thread(target=self._run, args=(claim,), name="notification", daemon=True)
        with self._lock:
            self._servers[claim.destination] += 1
            self._threads.add(thread)
        thread.start()

    def _run(self, claim: DeliveryClaim) -> None:
        try:
            self._record(claim, self._send(claim))
        except Exception:
            # The lease ends, and it is sent again.
            log.exception("notification not recorded", address_id=claim.address_id)
        finally:
            with self._lock:
                self._servers[claim.destination] -= 1
                self._threads.discard(threading.current_thread())

    def _send(self, claim: DeliveryClaim) -> SendResult:
        try:
            target = target_of(claim.sealed, self._policy, self._cipher)
        except PermanentError as error:
            return SendResult(False, str(error), final=True)
        message = message_of(
            claim.events,
            self._public_url,
            lambda text: translated_into(text, claim.language),
            digest=claim.digest,
        )
        return self._sender.send(target, message)

    def _record(self, claim: DeliveryClaim, result: SendResult) -> None:
        """Write down what became of it; while the database is away, try until the lease is over."""
        deadline = self._clock() + self._recording
        for pause_s in Backoff(0.5, 5.0).pauses():
            try:
                with self._database.write() as session:
                    outcome = self._written(session, claim, result)
            except DatabaseAwayError as error:
                log.warning("notification not recorded yet", address_id=claim.address_id, error=str(error))
                if self._clock() >= deadline or self._stopping.wait(pause_s):
                    return
            else:
                break
        notification_ends(outcome)
        log.info(
            "notification",
            outcome=outcome,
            address_id=claim.address_id,
            events=len(claim.event_ids),
            **({"detail": result.detail} if not result.sent else {}),
        )

    def _written(self, session: Session, claim: DeliveryClaim, result: SendResult) -> str:
        now = self._clock()
        if result.sent:
            return "sent" if mark_sent(session, claim, now) else "lost"
        if self._stopping.is_set():
            give_back(session, claim)
            return "interrupted"
        if not mark_failed(session, claim, result.detail, self._terms, now, final=result.final):
            return "lost"
        address = session.get(NotificationAddress, claim.address_id)
        return "given_up" if address is not None and address.failed_at == now else "failed"
