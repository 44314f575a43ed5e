"""The session of a command: the settings, the migrated database, the broker with its topology.

Each part is loaded when it is used: most commands do without one of them, and `-h` without all.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from services.cli.output.exit_codes import away
from shared.clock import utc_now

if TYPE_CHECKING:
    from shared.broker.port import Broker
    from shared.database.session import Database
    from shared.settings import Settings

#: With less free for the file of SQLite, no transaction of a job ends.
LEAST_FREE_BYTES = 64 * 1024

#: Queues that a job of each kind needs to go on.
JOB_QUEUES = {"query": ("query", "query-tasks"), "retrieve": ("retrieve", "retrieve-tasks")}


def settings_of_command() -> Settings:
    """Read the settings and keep the libraries' warnings off the terminal.

    Raises:
        SettingsError: a variable is malformed.
    """
    from shared.logs import configure
    from shared.settings import load

    settings = load()
    configure("cli", "DEBUG" if settings.log_level == "DEBUG" else "ERROR")
    return settings


@contextmanager
def opened_database(settings: Settings, *, create: bool = False) -> Iterator[Database]:
    """Open the database and bring its schema up to date.

    `create`: make data folder, database and the node of the own store where missing. Only commands that set
    up a system do; any other in the wrong folder would make, and show, an empty one.

    Raises:
        CommandError: there is no database, or the data folder cannot be made.
        DatabaseAwayError: the database cannot be reached.
    """
    from shared.database.session import open_database

    if not create:
        _require_database(settings)
    try:
        database = open_database(settings.data_dir, settings.database)
    except OSError as error:
        raise away(f"The data folder {settings.data_dir} cannot be made: {error.strerror}") from error
    try:
        prepare(database, settings)
        yield database
    finally:
        database.close()


def _require_database(settings: Settings) -> None:
    file = settings.sqlite_file
    if file is not None and not file.is_file():
        raise away(
            f"There is no database at {file}. Start the system (`make run` or `doseqr serve all`), or set "
            "DOSEQR_DATA_DIR to the data folder of the one that runs."
        )


def prepare(database: Database, settings: Settings) -> None:
    """Migrate the database, and make a first store node.

    Raises:
        DatabaseAwayError: the database cannot be reached.
    """
    from shared.database.migrate import migrate
    from shared.nodes.nodes import list_nodes

    migrate(database)
    with database.read() as session:
        has_store = bool(list_nodes(session, "store"))
    if not has_store:
        own_store(database, settings)


def own_store(database: Database, settings: Settings) -> None:
    """Make or update the node of the own store; for who runs it or begins with an empty database.

    Raises:
        DatabaseAwayError: the database cannot be reached.
    """
    from shared.nodes.nodes import ensure_own_store

    with database.write() as session:
        ensure_own_store(session, settings, utc_now())


@contextmanager
def opened_broker(settings: Settings) -> Iterator[Broker]:
    """Connect to the broker.

    Raises:
        BrokerAwayError: it cannot be reached.
    """
    from shared.broker.factory import open_broker

    broker = open_broker(
        settings.broker_url, settings.amqp_prefix, settings.bridge_socket, settings.broker_tls
    )
    try:
        broker.declare()
        yield broker
    finally:
        broker.close()


def full_disk(database: Database) -> str:
    """Return a sentence if the disk under the file of the database is full; empty if not, or not known."""
    from shared.disk.free_space import free_space

    folder = database.file.parent if database.file is not None else None
    space = free_space(folder, 0) if folder is not None else None
    if space is None or space.free_bytes >= LEAST_FREE_BYTES:
        return ""
    return f"The disk of the database is full: free some space for {folder}"


def require_space(database: Database) -> None:
    """Require that the services can write what is ordered.

    Raises:
        CommandError: the disk of the database is full.
    """
    trouble = full_disk(database)
    if trouble:
        raise away(f"{trouble}, and order it again: nothing was ordered. The services go on by themselves.")


def service_of(queue: str) -> str:
    """Return the service that consumes a queue."""
    return queue.split("-", maxsplit=1)[0]


def deserted(broker: Broker, queues: Sequence[str]) -> list[str]:
    """Return the services of those queues that have no consumer.

    Raises:
        BrokerAwayError: the broker cannot be reached.
    """
    quiet = (service_of(queue) for queue in queues if broker.queue_state(queue).consumers == 0)
    return list(dict.fromkeys(quiet))


def require_workers(broker: Broker, queues: Sequence[str]) -> None:
    """Require a worker on each of these queues.

    Raises:
        CommandError: a queue has none; the text names what to start.
        BrokerAwayError: the broker cannot be reached.
    """
    missing = deserted(broker, queues)
    if missing:
        commands = " and ".join(f"doseqr serve {service}" for service in missing)
        raise away(f"No {' and no '.join(missing)} worker listens. Start one with: {commands}")


def who() -> str:
    """Return the user and host of this command, for the job's record."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"[:128]
