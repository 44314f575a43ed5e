"""The command `objects.register`: objects of another store become known."""

from __future__ import annotations

import structlog

from services.store.announce import TOPIC
from services.store.index import register
from shared.clock import Clock, utc_now
from shared.contract.envelope import Envelope
from shared.contract.messages import ObjectsRegistered, RegisterObjects
from shared.database.session import Database
from shared.events import Publisher

log = structlog.get_logger(__name__)


class RegisterHandler:
    """Makes objects known and says so; the same command twice changes nothing but the counts."""

    def __init__(self, database: Database, publisher: Publisher, clock: Clock = utc_now) -> None:
        self._database = database
        self._publisher = publisher
        self._clock = clock

    def __call__(self, envelope: Envelope, command: RegisterObjects) -> None:
        """Handle one command.

        Raises:
            DatabaseAwayError: nothing was recorded.
            BrokerAwayError: recorded, but not yet told.
        """
        register(self._database, command.objects, self._clock())
        event = ObjectsRegistered(command_id=envelope.id, objects=len(command.objects))
        self._publisher.event(event, TOPIC, envelope.id)
        log.info("objects registered", command_id=envelope.id, objects=len(command.objects))
