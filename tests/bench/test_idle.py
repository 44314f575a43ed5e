"""Processor time of a system that has nothing to do: broker, database and all services, as `serve all`."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from services.cli.local.private_rabbitmq import find_server_script, private_node
from tests.bench.table import print_table
from tests.support.cpu_times import used_s
from tests.support.ports import free_block
from tests.support.processes.installation import Installation, installed
from tests.support.servers.databases import private_postgres
from tests.support.servers.rabbitmq import MISSING, skip_or_fail
from tests.support.waiting import wait_until

#: Goal of all together, in per cent of one core.
GOAL_PERCENT = 5.0
SERVICES = 5
#: Seconds in which the system settles, and over which it is measured.
SETTLE_S, MEASURED_S = 30.0, 60.0


@pytest.mark.parametrize("kind", ["SQLite", "PostgreSQL"])
def test_idle_processor_time_of_all_processes(kind: str, tmp_path: Path) -> None:
    script = find_server_script()
    if script is None:
        skip_or_fail(MISSING)
    assert script is not None
    with ExitStack() as stack:
        # A broker and a database of their own: those of the session may have other work.
        node = stack.enter_context(private_node(tmp_path / "node", script))
        database_url, roots = "", {"RabbitMQ": _pid_file(node.folder / "pid")}
        if kind == "PostgreSQL":
            postgres = stack.enter_context(private_postgres())
            database_url = f"{postgres.url.replace('postgresql:', 'postgresql+psycopg:')}"
            with psycopg.connect(postgres.url) as connection:
                (folder,) = connection.execute("SHOW data_directory").fetchone() or ("",)
            roots[kind] = _pid_file(Path(folder) / "postmaster.pid")
        installation = stack.enter_context(
            installed(
                tmp_path / "doseqr",
                node.url,
                "idle",
                database_url=database_url,
                fresh=True,
                DOSEQR_HEALTH_PORT=str(free_block()[0]),
            )
        )
        roots |= _services(installation)
        time.sleep(SETTLE_S)
        before, began_s = {name: used_s(pid) for name, pid in roots.items()}, time.monotonic()
        time.sleep(MEASURED_S)
        passed_s = time.monotonic() - began_s
        percent = {name: 100 * (used_s(pid) - before[name]) / passed_s for name, pid in roots.items()}
    total = sum(percent.values())
    rows = [*percent.items(), ("all", total)]
    title = f"Idle with {kind} (goal: below {GOAL_PERCENT:.0f} % of a core)"
    print_table(title, ["process", "% of a core"], [[name, f"{share:.2f}"] for name, share in rows])
    assert total < GOAL_PERCENT


def _services(installation: Installation) -> dict[str, int]:
    """Start all services and return their processes, and that of their supervisor, by name."""
    supervisor = installation.begin("serve", "all")
    wait_until(lambda: supervisor.text().count('"event": "ready"') == SERVICES, timeout_s=120)
    started = re.findall(r'"process": "(\w+)", "pid": (\d+)', supervisor.text())
    assert len(started) == SERVICES, supervisor.text()[:2000]
    return {name: int(pid) for name, pid in started}


def _pid_file(path: Path) -> int:
    return int(path.read_text().split()[0])
