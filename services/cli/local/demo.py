"""`make demo`: query, retrieve and verify what lies on disk, then end and leave nothing running."""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.cli.client.echo import echo
from services.cli.client.jobs import JobOutcome, query_and_wait
from services.cli.client.session import opened_broker, opened_database
from services.cli.local.ports import free_ports
from services.cli.local.processes import can_listen, given_url, signals_as_interrupts
from services.cli.local.rabbitmq import ensure_rabbitmq
from services.cli.local.system import System, first_order, running
from services.cli.output.console import line, notice
from services.cli.output.exit_codes import FAILED, CommandError
from shared.broker.rabbitmq.connection import remove_topology
from shared.clock import utc_now
from shared.database.models.retrieve import RetrieveObject
from shared.database.models.store import StoredObject
from shared.errors import BrokerAwayError
from shared.logs import configure
from shared.nodes.nodes import list_nodes
from shared.reading.query_json import query_head
from shared.reading.retrieve_json import retrieve_json
from shared.settings import Settings, load

#: Marks a folder that was made by the demo, which may wipe it.
_MARK = ".doseqr-demo"


def demo() -> int:
    """Run the demo; return the exit code: 0 if everything requested is there."""
    with signals_as_interrupts():
        inherited = load()
        configure("cli", "ERROR")
        with (
            own_folder(inherited.data_dir / "demo") as folder,
            ensure_rabbitmq(given_url(inherited), folder, notice) as url,
        ):
            settings = _settings(inherited, folder, url)
            with (
                _own_topology(settings),
                opened_database(settings, create=True) as database,
                running(settings, database) as system,
            ):
                return _show(system)


def _show(system: System) -> int:
    settings, database = system.settings, system.database
    with database.read() as session:
        nodes = list_nodes(session)
    order = first_order(database, settings, settings.day_of(utc_now()))
    with opened_broker(settings) as broker:
        statuses = echo(broker, settings, nodes)
        for status in statuses:
            line(f"Node      {status.node}: {status.outcome}")
        if not all(status.ok for status in statuses):
            raise CommandError(FAILED, "failed", "Not every node of the demo responds.")
        outcome = query_and_wait(database, broker, order)
    with database.read() as session:
        report = verify(session, outcome, settings.objects_dir)
    for text in report.lines:
        line(text)
    for problem in report.problems:
        notice(f"WRONG     {problem}")
    if outcome.exit_code or report.problems:
        raise CommandError(outcome.exit_code or FAILED, "failed", "The demo did not get what it requested.")
    line(f"Demo ok; the files are in {settings.objects_dir.absolute()}")
    return 0


@contextlib.contextmanager
def own_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that no other demo uses.

    Raises:
        CommandError: the folder holds something that is not the demo's, or another demo runs in it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(FAILED, "failed", f"Another demo runs in {folder}.") from None
        if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
            raise CommandError(FAILED, "failed", f"{folder} holds something that is not the demo's.")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / _MARK).touch()
        yield folder


def _settings(inherited: Settings, folder: Path, url: str) -> Settings:
    web_free = can_listen(inherited.web_host, inherited.web_port)
    store_free = can_listen(inherited.store_host, inherited.store_port)
    web_port, store_port = free_ports(2)
    return inherited.model_copy(
        update={
            "data_dir": folder,
            "database_url": "",
            "amqp_url": url,
            "amqp_prefix": f"doseqr-demo-{secrets.token_hex(4)}",
            "web_port": inherited.web_port if web_free else web_port,
            "store_port": inherited.store_port if store_free else store_port,
            "store_address": "127.0.0.1",
        }
    )


@contextlib.contextmanager
def _own_topology(settings: Settings) -> Iterator[None]:
    """Take exchanges and queues of the demo away at the end: the broker may be somebody else's."""
    try:
        yield
    finally:
        if not settings.embedded:
            try:
                remove_topology(settings.broker_url, settings.amqp_prefix, settings.broker_tls)
            except BrokerAwayError as error:
                notice(f"The queues {settings.amqp_prefix}.* may be left: {error}")


@dataclass
class Verification:
    """What to show, and what is wrong."""

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def verify(session: Session, outcome: JobOutcome, objects_dir: Path) -> Verification:
    """Compare what the query kept with what the retrieve requested, what arrived, and what is on disk."""
    report = Verification()
    query = query_head(session, outcome.query_id)
    counts = query["counts"]
    report.lines.append(
        f"Query     {query['status']}: {counts['found']} studies found, {counts['kept']} kept "
        f"in {query['finds']} C-FINDs"
    )
    report.lines += [f"  {kind:<7} {number} studies" for kind, number in counts["by_type"].items()]
    if query["status"] != "completed" or not counts["kept"]:
        report.problems.append(f"query: {query['status']} {query['failure']} {query['detail']}".rstrip())
    if outcome.retrieve_id is None:
        report.problems.append("there was no retrieve")
    else:
        _verify_retrieve(session, outcome.retrieve_id, objects_dir, report)
    return report


def _verify_retrieve(session: Session, retrieve_id: str, objects_dir: Path, report: Verification) -> None:
    retrieve = retrieve_json(session, retrieve_id)
    counts = retrieve["counts"]
    report.lines.append(
        f"Retrieve  {retrieve['status']}: {counts['asked']} objects requested, {counts['arrived']} arrived"
    )
    if retrieve["status"] != "completed" or not counts["asked"]:
        report.problems.append(f"retrieve: {retrieve['status']} {retrieve['failure']} {retrieve['detail']}")
    if counts["asked"] != counts["arrived"]:
        report.problems.append(f"{counts['asked'] - counts['arrived']} objects did not arrive")
    rows = session.execute(
        select(RetrieveObject.sop_instance_uid, StoredObject.path, StoredObject.size_bytes)
        .outerjoin(StoredObject, StoredObject.sop_instance_uid == RetrieveObject.sop_instance_uid)
        .where(RetrieveObject.job_id == retrieve_id, RetrieveObject.state == "arrived")
    ).all()
    absent = [row for row in rows if not row.path or not _is_file(objects_dir / row.path)]
    report.lines.append(f"Store     {len(rows) - len(absent)} of {len(rows)} objects are on disk")
    report.problems += [f"{row.sop_instance_uid} is not on disk" for row in absent[:10]]
    if len(rows) != counts["arrived"]:
        report.problems.append(f"the ledger has {len(rows)} rows of arrived objects")


def _is_file(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
