"""A whole system on one machine: broker, demo PACS, all services, and the file by which it is found."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from services.cli.client.jobs import QueryOrder
from services.cli.client.session import own_store
from services.cli.commands.ready import wait_until_ready
from services.cli.commands.serve import Service, command_line
from services.cli.commands.simulate import demo_ae_title
from services.cli.local.ports import free_ports
from services.cli.local.private_rabbitmq import is_listening
from services.cli.local.processes import last_lines, process, undisturbed
from services.cli.output.exit_codes import FAILED, CommandError
from shared.clock import utc_now
from shared.contract.criteria import parse_criteria
from shared.database.models.web import Node
from shared.database.session import Database
from shared.nodes.nodes import add_node, edit_node, find_node, is_own_store, list_nodes, parse_node
from shared.settings import PREFIX, Settings, running_file

#: Seconds that all services may take until they are ready.
READY_TIMEOUT_S = 90.0
#: Days before today that the first query covers.
FIRST_QUERY_DAYS = 30
PACS_NAME = "demo-pacs"

#: By these another `doseqr` finds the running system.
_SHARED = (
    "amqp_url",
    "amqp_prefix",
    "database_url",
    "store_ae_title",
    "store_host",
    "store_port",
    "store_address",
    "web_host",
    "web_port",
)


#: Seconds that the demo PACS may take to make up its studies.
PACS_TIMEOUT_S = 30.0
#: Seconds between two attempts to connect to it.
POLL_INTERVAL_S = 0.05


@dataclass(frozen=True, slots=True)
class System:
    """What runs."""

    settings: Settings
    database: Database
    services: subprocess.Popen[bytes]
    services_log: Path

    def ended(self) -> bool:
        """Return whether the services have ended by themselves."""
        return self.services.poll() is not None


@contextlib.contextmanager
def running(settings: Settings, database: Database) -> Iterator[System]:
    """Start a demo PACS and all services on a database that is migrated; everything ends with the block.

    Raises:
        CommandError: a part did not become ready; its last lines are in the text.
    """
    logs = settings.data_dir / "logs"
    own_store(database, settings)
    with contextlib.ExitStack() as stack:
        # Entered last of what ends in order, left first: a second Ctrl-C must not cut that short.
        stack.enter_context(found_by_others(settings))
        (pacs_port,) = free_ports(1)
        stack.enter_context(demo_pacs(settings, pacs_port, logs / "demo-pacs.log"))
        services_log = logs / "services.log"
        services = stack.enter_context(
            process(command_line("serve", "all"), services_log, _environment(settings))
        )
        _register_pacs(database, pacs_port)
        system = System(settings, database, services, services_log)
        try:
            _await_services(system)
            yield system
        finally:
            with undisturbed():
                stack.close()


def _await_services(system: System) -> None:
    missing = wait_until_ready(
        lambda: system.settings, list(Service), READY_TIMEOUT_S, lambda: not system.ended()
    )
    if missing:
        raise CommandError(
            FAILED,
            "failed",
            f"The services did not begin to respond: {'; '.join(missing)}. From {system.services_log}:\n"
            f"{last_lines(system.services_log)}",
        )


@contextlib.contextmanager
def found_by_others(settings: Settings) -> Iterator[None]:
    """Leave the file by which a `doseqr` in another terminal finds this system."""
    path = running_file(settings.data_dir)
    path.touch(mode=0o600)
    path.chmod(0o600)
    values = {name: getattr(settings, name) for name in _SHARED}
    path.write_text(json.dumps({"pid": os.getpid(), **values}), encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def pid_of_running(data_dir: Path) -> int | None:
    """Return the process that runs a system in this data folder; a file without one is removed."""
    path = running_file(data_dir)
    try:
        pid = int(json.loads(path.read_text(encoding="utf-8"))["pid"])
        os.kill(pid, 0)
    except (OSError, ValueError, KeyError, TypeError):
        path.unlink(missing_ok=True)
        return None
    return pid


def _environment(settings: Settings) -> dict[str, str]:
    """Return the variables for the services: what the file holds, unless theirs differ.

    The broker's URL stays out: it may hold a password, and the file or the caller's environment has it.
    """
    names = ("data_dir", *(name for name in _SHARED if name != "amqp_url"))
    return {PREFIX + name.upper(): str(getattr(settings, name)) for name in names}


def _register_pacs(database: Database, port: int) -> Node:
    where = {"host": "127.0.0.1", "port": port, "ae_title": demo_ae_title()}
    given = parse_node({"kind": "remote", "name": PACS_NAME, **where})
    with database.write() as session:
        for node in list_nodes(session, "remote"):
            if node.name == PACS_NAME:
                return edit_node(session, node, given)
        return add_node(session, given, utc_now())


def first_order(database: Database, settings: Settings, today: date) -> QueryOrder:
    """Return the first query: everything of the demo PACS of the last 30 days, retrieved into our store."""
    criteria = parse_criteria(
        {
            "types": ["CT", "MG", "FL", "DX", "NM"],
            "date_from": str(today - timedelta(days=FIRST_QUERY_DAYS)),
            "date_until": str(today),
        }
    )
    with database.read() as session:
        store = next(node for node in list_nodes(session, "store") if is_own_store(node, settings))
        return QueryOrder(find_node(session, PACS_NAME, "remote"), store, criteria, retrieve=True)


@contextlib.contextmanager
def demo_pacs(settings: Settings, port: int, log: Path) -> Iterator[None]:
    """Run the demo PACS on this port of 127.0.0.1 for the time of the block.

    Raises:
        CommandError: it ended, or did not begin to listen.
    """
    store = f"{settings.store_ae_title}={settings.store_address}:{settings.store_port}"
    command = command_line("simulate", "--port", str(port), "--destination", store)
    with process(command, log) as started:
        _await_pacs(started, port, log)
        yield


def _await_pacs(started: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PACS_TIMEOUT_S
    while not is_listening(port):
        if started.poll() is not None or time.monotonic() > deadline:
            raise CommandError(
                FAILED, "failed", f"The demo PACS did not begin to listen on port {port}:\n{last_lines(log)}"
            )
        time.sleep(POLL_INTERVAL_S)
