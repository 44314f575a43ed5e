"""How the system stands: broker, workers, queues, database, disk."""

from __future__ import annotations

import shutil

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from services.web.api.operations import OperationTable
from services.web.components import components
from shared.broker.topology import DEAD_LETTERS, QUEUES
from shared.errors import BrokerAwayError, PermanentError
from shared.versions import own_version

table = OperationTable("system")


@with_config(ConfigDict(extra="forbid"))
class QueueResult(TypedDict):
    """A queue: messages that wait, and workers that listen."""

    name: str
    ready: int
    consumers: int


@with_config(ConfigDict(extra="forbid"))
class DiskResult(TypedDict):
    """The file system of the data folder."""

    total_bytes: int
    free_bytes: int


@with_config(ConfigDict(extra="forbid"))
class SystemResult(TypedDict):
    """How the system stands; queues and dead letters are null while the broker is away."""

    version: str
    broker: str
    queues: list[QueueResult] | None
    dead_letters: int | None
    services_without_workers: list[str]
    database: str
    disk: DiskResult | None
    open_streams: int


@table.add("GET", "/system", scope="read", result=SystemResult)
def read_system() -> object:
    """Return how the system stands."""
    queues = _queues()
    dead_letters = None
    if queues is not None:
        dead_letters = next(queue["ready"] for queue in queues if queue["name"] == DEAD_LETTERS)
    return {
        "version": own_version(),
        "broker": "ok" if queues is not None else "away",
        "queues": queues,
        "dead_letters": dead_letters,
        "services_without_workers": sorted(components().service_status.current().unattended),
        "database": components().database.url.get_backend_name(),
        "disk": _disk(),
        "open_streams": components().live.open_streams,
    }


def _queues() -> list[QueueResult] | None:
    broker = components().broker
    try:
        states = {name: broker.queue_state(name) for name in (*(spec.name for spec in QUEUES), DEAD_LETTERS)}
    except (BrokerAwayError, PermanentError):
        return None
    return [
        {"name": name, "ready": state.ready, "consumers": state.consumers} for name, state in states.items()
    ]


def _disk() -> DiskResult | None:
    try:
        usage = shutil.disk_usage(components().settings.data_dir)
    except OSError:
        return None
    return {"total_bytes": usage.total, "free_bytes": usage.free}
