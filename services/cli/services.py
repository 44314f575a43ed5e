"""The services by name; each is imported only when it is run, so that no other command pays for it."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module

from services.cli.client.session import own_store
from shared.broker.port import Broker
from shared.database.session import Database
from shared.lifecycle import Lifecycle
from shared.service import Start
from shared.settings import Settings


class Service(StrEnum):
    """The services that can be run."""

    ECHO = "echo"
    QUERY = "query"
    RETRIEVE = "retrieve"
    STORE = "store"
    WEB = "web"


def start_of(service: Service) -> Start:
    """Return how a service is started in this process, on a database that has been migrated."""
    main = import_module(f"services.{service.value}.main")
    start: Start = main.start

    def started(settings: Settings, broker: Broker, database: Database, lifecycle: Lifecycle) -> None:
        own_store(database, settings)
        start(settings, broker, database, lifecycle)

    return started
