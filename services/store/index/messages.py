"""The store's queue: its commands, and the announcements of other stores."""

from __future__ import annotations

import structlog

from services.store.index.announcer import TOPIC
from services.store.index.known_objects import register
from shared.broker.port import Message
from shared.clock import Clock, utc_now
from shared.contract.envelope import Envelope, identify
from shared.contract.messages import ObjectsRegistered, ObjectsStored, RegisterObjects
from shared.database.session import Database
from shared.messaging.codec import decode_event
from shared.messaging.command_router import CommandRouter
from shared.messaging.publisher import Publisher

log = structlog.get_logger(__name__)


class RegisterHandler:
    """Registers objects and publishes that; the same command twice changes only the counts."""

    def __init__(self, database: Database, publisher: Publisher, clock: Clock = utc_now) -> None:
        self._database = database
        self._publisher = publisher
        self._clock = clock

    def __call__(self, envelope: Envelope, command: RegisterObjects) -> None:
        """Handle one command.

        Raises:
            DatabaseAwayError: nothing was recorded.
            BrokerAwayError: recorded, but not published yet.
        """
        register(self._database, command.objects, self._clock())
        number = len({found.sop_instance_uid for found in command.objects})
        event = ObjectsRegistered(command_id=envelope.id, objects=number)
        self._publisher.event(event, TOPIC, envelope.id)
        # Whoever may publish this makes objects vanish from queries: the log records who did.
        log.info(
            "objects registered",
            command_id=envelope.id,
            source=envelope.source,
            objects=number,
            studies=len({found.study_instance_uid for found in command.objects}),
        )


class StoreMessages:
    """Handles messages; each may come twice."""

    def __init__(
        self, commands: CommandRouter, database: Database, store_ae_title: str, clock: Clock = utc_now
    ) -> None:
        self._commands = commands
        self._database = database
        self._store_ae_title = store_ae_title
        self._clock = clock

    def __call__(self, message: Message, redelivered: bool) -> None:
        """Handle one message.

        Raises:
            InvalidInputError: it is nothing that this service knows; it belongs to the dead letters.
            RetriableError: the broker or the database is away.
        """
        _, message_type = identify(message.body)
        if message_type != ObjectsStored.TYPE:
            self._commands(message, redelivered)
            return
        _, event = decode_event(message)
        if isinstance(event, ObjectsStored) and event.store_ae_title != self._store_ae_title:
            self._take(event)

    def _take(self, event: ObjectsStored) -> None:
        """Make objects of another store known: to a retrieve that waits for them this is the receipt."""
        register(self._database, event.objects, self._clock())
        log.info("another store has received", store=event.store_ae_title, objects=len(event.objects))
