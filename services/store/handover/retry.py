"""The command `handover.retry`: batches that were given up are handed over again."""

from __future__ import annotations

import structlog

from services.store.handover.outbox import requeue_failed
from shared.clock import Clock, utc_now
from shared.contract.envelope import Envelope
from shared.contract.messages import HandoverRetried, RetryHandover
from shared.database.session import Database
from shared.errors import InvalidInputError
from shared.messaging.publisher import Publisher

log = structlog.get_logger(__name__)

TOPIC = "handover"


class RetryHandler:
    """Queues batches that were given up once more."""

    def __init__(
        self, database: Database, publisher: Publisher, *, enabled: bool, clock: Clock = utc_now
    ) -> None:
        """Refuse commands unless `enabled`: without an importer nothing would be done."""
        self._database = database
        self._publisher = publisher
        self._enabled = enabled
        self._clock = clock

    def __call__(self, envelope: Envelope, command: RetryHandover) -> None:
        """Handle one command; the same one twice finds nothing more to do.

        Raises:
            InvalidInputError: no importer is set.
            DatabaseAwayError: nothing was changed.
            BrokerAwayError: changed, but not published yet.
        """
        if not self._enabled:
            problem = "no importer is set: neither DOSEQR_HANDOVER_COMMAND nor DOSEQR_HANDOVER_URL"
            raise InvalidInputError("", problem)
        batches = requeue_failed(self._database, command.job_id or "", self._clock())
        self._publisher.event(HandoverRetried(command_id=envelope.id, batches=batches), TOPIC, envelope.id)
        log.info("hand-over requested again", command_id=envelope.id, job_id=command.job_id, batches=batches)
