"""Notifications in a test: addresses, and the replicas that observe and send."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select

from services.web.notifier.bootstrap import NotifierPace, start_notifier
from shared.broker.memory.broker import MemoryBroker
from shared.clock import utc_now
from shared.contract.text import StoreState
from shared.database.models import NotificationAddress, NotificationDelivery, NotificationEvent, User
from shared.database.session import Database
from shared.lifecycle import Lifecycle
from shared.notifications.addresses import add_address, cipher_of
from shared.notifications.definition import parse_address_input
from shared.settings import Settings

#: Everything quickly: a claim lasts for six seconds.
QUICK = NotifierPace(tick_s=0.1, lease_s=1.0, poll_s=0.1, starting_s=4.0, recording_s=1.0)
ALL_KINDS = ["schedule", "coverage", "store", "dead_letters", "job"]


def notifying_settings(data_dir: Path, **values: Any) -> Settings:
    """Return settings that let notifications go to this machine."""
    given: dict[str, Any] = {
        "notification_local_hosts": True,
        "notification_timeout": 1.0,
        "notification_pauses": (0.3, 0.3),
        **values,
    }
    return Settings(data_dir=data_dir, **given)


def notify(database: Database, settings: Settings, address: str, user: str = "", **values: Any) -> int:
    """Add an address of the installation, or of a user; returns its id."""
    given = {"name": f"address {address[-40:]}", "address": address, "kinds": ALL_KINDS, **values}
    if "job" in given["kinds"]:
        given.setdefault("outcomes", ["completed", "incomplete", "failed"])
    with database.write() as session:
        owner = session.scalars(select(User).where(User.name == user)).one() if user else None
        row = add_address(
            session,
            parse_address_input(given),
            owner,
            settings.address_policy,
            cipher_of(settings),
            utc_now(),
        )
        return row.id


def events(database: Database) -> list[NotificationEvent]:
    """Return the events, in their order."""
    with database.read() as session:
        return list(session.scalars(select(NotificationEvent).order_by(NotificationEvent.id)))


def deliveries(database: Database) -> list[NotificationDelivery]:
    """Return the deliveries by event and address."""
    order = (NotificationDelivery.event_id, NotificationDelivery.address_id)
    with database.read() as session:
        return list(session.scalars(select(NotificationDelivery).order_by(*order)))


def delivery_states(database: Database) -> list[str]:
    """Return the states of all deliveries."""
    return [delivery.state for delivery in deliveries(database)]


def address_of(database: Database, address_id: int) -> NotificationAddress:
    """Return the row of an address."""
    with database.read() as session:
        return session.get_one(NotificationAddress, address_id)


@contextmanager
def notifier(
    database: Database,
    settings: Settings,
    store_states: list[StoreState] | None = None,
    pace: NotifierPace = QUICK,
) -> Iterator[MemoryBroker]:
    """Observe and send in this process."""
    broker = MemoryBroker()
    broker.declare()
    with Lifecycle() as lifecycle:
        lifecycle.on_stop(broker.close)
        start_notifier(settings, broker, database, lambda: store_states or [], lifecycle, pace)
        yield broker


def main() -> None:
    """Be a replica until killed: `python -m tests.support.jobs.notifications URL FOLDER`."""
    url, folder = sys.argv[1:]
    database = Database(url)
    settings = notifying_settings(Path(folder), notification_pauses=(0.3,) * 10)
    with Lifecycle() as lifecycle:
        broker = MemoryBroker()
        broker.declare()
        start_notifier(settings, broker, database, list, lifecycle, QUICK)
        lifecycle.wait()


if __name__ == "__main__":
    main()
