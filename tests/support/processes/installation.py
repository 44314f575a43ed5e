"""DoseQR as it is run: real `doseqr` commands and services, each a process of its own, ended by its pid."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from services.cli.local.processes import ended_with_us
from shared.broker.rabbitmq.broker import RabbitBroker
from shared.database.models import Node, QueryTask, RetrieveTask
from shared.database.session import Database, open_database
from shared.settings import Settings
from simulator.scp import ScriptedPacs
from tests.support.ports import free_port
from tests.support.processes.preloaded import PreloadedProcess, preloaded
from tests.support.servers.databases import prepare
from tests.support.services.in_process import System
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]

#: The module whose function `main` is the `doseqr` command.
COMMAND = "services.cli.main"
#: Long enough for a command that waits for a job in which something was away.
COMMAND_TIMEOUT_S = 110.0
#: Short names of the queues that a service consumes.
QUEUES = {
    "echo": ("echo",),
    "query": ("query", "query-tasks"),
    "retrieve": ("retrieve", "retrieve-tasks"),
    "store": ("store",),
}


def doseqr_command() -> list[str]:
    """Return the installed command, or the module where nothing is installed."""
    script = Path(sys.executable).with_name("doseqr")
    return [str(script)] if script.exists() else [sys.executable, "-m", "services.cli.main"]


@dataclass(frozen=True)
class Finished:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be JSON and nothing else."""
        return json.loads(self.out)


class Running:
    """One process in a session of its own."""

    def __init__(self, process: subprocess.Popen[bytes] | PreloadedProcess, out: Path, err: Path) -> None:
        self._process, self.out, self.err = process, out, err

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def text(self) -> str:
        """Return all that it wrote so far; shown where it ended badly."""
        return self.out.read_text() + self.err.read_text()

    def wait(self, timeout_s: float = COMMAND_TIMEOUT_S) -> Finished:
        """Wait for the end; fails if it takes longer than that."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end within {timeout_s} s: {self.text()[-3000:]}") from None
        return Finished(code, self.out.read_text(), self.err.read_text())

    def terminate(self) -> int:
        """Send SIGTERM, wait for the end and return the exit code."""
        self._process.terminate()
        return self.wait(60).code

    def interrupt(self) -> None:
        """Send what Ctrl-C sends."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill it with SIGKILL, and nothing that it started."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Leave nothing of it, nor of what it started in its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


class Installation:
    """One installation: its data folder, its environment (spec, section 9), its processes."""

    def __init__(
        self,
        folder: Path,
        amqp_url: str,
        amqp_prefix: str,
        *,
        database_url: str = "",
        fresh: bool = False,
        command: str = COMMAND,
        **variables: str,
    ) -> None:
        """`fresh`: each process loads its modules, as outside of tests; else it is forked after that.

        `command`: the module whose `main` runs in a forked process.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.settings = Settings(
            data_dir=folder / "data",
            amqp_url=amqp_url,
            amqp_prefix=amqp_prefix,
            database_url=database_url,
            store_port=free_port(),
            web_port=free_port(),
        )
        self._folder = folder
        self._fresh = fresh
        self._command = command
        self._processes: list[Running] = []
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DOSEQR_")}
        self.environment = inherited | {
            "DOSEQR_AMQP_URL": amqp_url,
            "DOSEQR_AMQP_PREFIX": amqp_prefix,
            "DOSEQR_DATA_DIR": str(self.settings.data_dir),
            "DOSEQR_DATABASE_URL": database_url,
            "DOSEQR_STORE_PORT": str(self.settings.store_port),
            "DOSEQR_WEB_PORT": str(self.settings.web_port),
            "DOSEQR_DIMSE_TIMEOUT": "20",
            **variables,
        }

    @property
    def store_address(self) -> tuple[str, int]:
        """Where the own store listens."""
        return "127.0.0.1", self.settings.store_port

    def run(self, command: Sequence[str], **variables: str) -> Running:
        """Start any command in this environment."""
        files = self._files(Path(command[0]).name)
        with files[0].open("wb") as out, files[1].open("wb") as err:
            process = subprocess.Popen(
                ended_with_us(command),
                cwd=ROOT,
                env=self.environment | variables,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        return self._started(process, *files)

    def begin(self, *arguments: str, **variables: str) -> Running:
        """Start a `doseqr` command and do not wait for it."""
        if self._fresh:
            return self.run([*doseqr_command(), *arguments], **variables)
        files = self._files("doseqr")
        environment = self.environment | variables
        return self._started(preloaded().start(self._command, arguments, environment, *files), *files)

    def _files(self, name: str) -> tuple[Path, Path]:
        """Return where the next process writes its standard output and error."""
        files = self._folder / f"{len(self._processes):02}-{name}"
        return files.with_suffix(".out"), files.with_suffix(".err")

    def _started(self, process: subprocess.Popen[bytes] | PreloadedProcess, out: Path, err: Path) -> Running:
        self._processes.append(Running(process, out, err))
        return self._processes[-1]

    def doseqr(self, *arguments: str, **variables: str) -> Finished:
        """Run a `doseqr` command to its end."""
        return self.begin(*arguments, **variables).wait()

    def serve(self, *services: str, **variables: str) -> list[Running]:
        """Start services, each in a process of its own, and wait until all of them work.

        Their database is migrated already: `doseqr local` and `serve all` show elsewhere that they make one.
        """
        database = open_database(self.settings.data_dir, self.settings.database)
        prepare(database)
        database.close()
        started = [self.begin("serve", service, **variables) for service in services]
        for process in started:
            wait_until(lambda process=process: _is_ready(process))  # type: ignore[misc]
        return started

    def kill_all(self) -> None:
        """Kill every running process with SIGKILL."""
        running = [process for process in self._processes if process.running]
        for process in running:
            os.kill(process.pid, signal.SIGKILL)
        for process in running:
            process.kill()

    def close(self) -> None:
        """Leave no process behind."""
        for process in self._processes:
            process.close()


def _is_ready(process: Running) -> bool:
    assert process.running, f"the service ended: {process.text()[-3000:]}"
    return '"event": "ready"' in process.text()


class Observed(System):
    """An installation's database and events, seen from the test; no service runs in this process."""

    def wait_for_consumers(self, service: str, number: int) -> None:
        """Wait until this many processes of a service consume."""
        for queue in QUEUES[service]:
            wait_until(lambda queue=queue: self.broker.queue_state(queue).consumers == number)  # type: ignore[misc]

    def add_pacs(self, pacs: ScriptedPacs, name: str = "pacs") -> None:
        """Make a scripted PACS known, and our store to it.

        Work may call it more often than is usual: what a killed process held counts until its lease ends.
        """
        node = self.add_remote(name, pacs.host, pacs.port, pacs.ae_title)
        with self.database.write() as session:
            session.get_one(Node, node.id).max_associations = 16
        pacs.destinations[self.settings.store_ae_title] = ("127.0.0.1", self.settings.store_port)

    def pids_in_progress(self, kind: str) -> set[int]:
        """Return the processes that have tasks of a kind in hand: the ledger names them."""
        table: type[Any] = QueryTask if kind == "query" else RetrieveTask
        with self.database.read() as session:
            workers = session.scalars(select(table.worker).where(table.state == "running").distinct())
            return {int(worker.rpartition(":")[2]) for worker in workers}

    def task_in_progress_of(self, kind: str, process: Running) -> None:
        """Wait until a process has a task in hand."""
        wait_until(lambda: process.pid in self.pids_in_progress(kind))

    def files(self) -> set[str]:
        """Return the SOP Instance UIDs of the objects on disk."""
        return {path.stem for path in self.settings.objects_dir.glob("*/*/*.dcm")}


@contextlib.contextmanager
def installed(folder: Path, amqp_url: str, amqp_prefix: str, **options: Any) -> Iterator[Installation]:
    """Make an installation; whatever it started is ended with the block."""
    installation = Installation(folder, amqp_url, amqp_prefix, **options)
    try:
        yield installation
    finally:
        installation.close()


@contextlib.contextmanager
def observed(installation: Installation) -> Iterator[Observed]:
    """Observe an installation whose database exists: its rows, and its events from now on."""
    settings = installation.settings
    database, broker = Database(settings.database), RabbitBroker(settings.amqp_url, settings.amqp_prefix)
    try:
        broker.declare()
        observer = Observed(settings, broker, database)
        try:
            yield observer
        finally:
            observer.close()
    finally:
        broker.close()
        database.close()


def processes_that_name(text: str) -> dict[int, str]:
    """Return the processes whose command or environment holds a text: pid and command."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes()
            if text.encode() in command + (folder / "environ").read_bytes():
                found[int(folder.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found
