"""Control messages: every worker takes a copy, does what it is addressed with, and reports how it stands."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from datetime import timedelta

import structlog

from shared.backoff import Backoff
from shared.broker.port import Broker, Message, Subscription
from shared.clock import Clock, iso, utc_now
from shared.contract.envelope import Envelope, derived_id
from shared.contract.messages import (
    ControlCommand,
    DrainWorkers,
    PingWorkers,
    ResumeWorkers,
    SetLogLevel,
    WorkerStatus,
)
from shared.errors import BrokerAwayError, InvalidInputError, PermanentError
from shared.messaging.codec import causation_of, decode_command
from shared.messaging.publisher import Publisher
from shared.tracing.current import continuing
from shared.workers.duty import Duty
from shared.workers.log_level import LogLevel

log = structlog.get_logger(__name__)

#: Digits of the digest that tells the workers' responses to one command apart.
_DIGEST_LENGTH = 12
#: Pauses between attempts to listen while the broker is away.
_AWAY = Backoff(1.0, 30.0)


class WorkerControl:
    """Takes control messages for one service of this process."""

    def __init__(
        self,
        service: str,
        worker: str,
        broker: Broker,
        duty: Duty,
        level: LogLevel,
        stopping: threading.Event,
        versions: Mapping[str, str],
        clock: Clock = utc_now,
    ) -> None:
        """Wire the parts; `stopping` ends the process in order once it is set."""
        self._service = service
        self._worker = worker
        self._broker = broker
        self._publisher = Publisher(broker, service, clock)
        self._duty = duty
        self._level = level
        self._stopping = stopping
        self._versions = versions
        self._clock = clock
        self._started_at = clock()
        self._subscription: Subscription | None = None
        self._thread = threading.Thread(target=self._listen, name="worker control", daemon=True)

    def start(self) -> None:
        """Begin to listen, also if the broker comes later."""
        self._thread.start()

    def stop(self) -> None:
        """End it, once the process is stopping."""
        self._thread.join()
        if self._subscription is not None:
            self._subscription.close()

    def _listen(self) -> None:
        pauses = _AWAY.pauses()
        while not self._stopping.is_set():
            try:
                self._subscription = self._broker.subscribe(["control.*"], self.take)
            except BrokerAwayError:
                self._stopping.wait(next(pauses))
            except PermanentError as error:
                # A login without the rights of this version: the work itself does not need them.
                log.warning("control messages are not taken", error=str(error))
                return
            else:
                return

    def take(self, message: Message) -> None:
        """Do what a message orders of this worker; pass over what is malformed, late or for others."""
        try:
            envelope, command = decode_command(message)
        except InvalidInputError as error:
            log.warning("control message not understood", field=error.field[:64])
            return
        if isinstance(command, ControlCommand) and self._is_for_us(envelope, command):
            with continuing(causation_of(envelope)):
                self._obey(envelope.id, command)

    def _is_for_us(self, envelope: Envelope, command: ControlCommand) -> bool:
        if command.service not in (None, self._service) or command.worker not in ("", self._worker):
            return False
        sent_at = envelope.time
        if sent_at is not None and sent_at.tzinfo is None:
            sent_at = None
        if sent_at is not None and self._clock() > sent_at + timedelta(seconds=command.expires_s):
            log.warning("control message is too late", command_id=envelope.id, sent_at=iso(sent_at))
            return False
        return True

    def _obey(self, command_id: str, command: ControlCommand) -> None:
        if not isinstance(command, PingWorkers):
            log.warning(
                "controlled", command=command.ROUTING_KEY, command_id=command_id, by=command.requested_by
            )
        if isinstance(command, DrainWorkers):
            self._duty.drain(lambda: self._drained(command_id, end=command.end))
        elif isinstance(command, ResumeWorkers):
            self._duty.resume()
        elif isinstance(command, SetLogLevel):
            self._level.change(command.level, command.for_s)
        self._report(command_id)

    def _drained(self, command_id: str, *, end: bool) -> None:
        self._report(command_id)
        if end:
            self._stopping.set()

    def _report(self, command_id: str) -> None:
        state = self._duty.state
        until = self._level.until
        event = WorkerStatus(
            command_id=command_id,
            service=self._service,
            worker=self._worker,
            state=state,
            takes_tasks=self._duty.takes_tasks,
            tasks=list(self._duty.claimed_tasks()),
            versions=dict(self._versions),
            started_at=iso(self._started_at),
            log_level=self._level.name,
            log_level_until=iso(until) if until is not None else "",
        )
        event_id = derived_id(command_id, f"-{_digest(self._worker)}-{state}", with_digest=True)
        try:
            self._publisher.event(event, "worker", command_id, event_id=event_id)
        except BrokerAwayError as error:
            log.warning("worker status not published", command_id=command_id, error=str(error))


def _digest(worker: str) -> str:
    return hashlib.sha256(worker.encode()).hexdigest()[:_DIGEST_LENGTH]
