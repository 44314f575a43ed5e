"""`make run`: a system to look at, with something in it, until Ctrl-C."""

from __future__ import annotations

import time

from services.cli.client.jobs import query_and_wait
from services.cli.client.session import opened_broker, opened_database
from services.cli.local.processes import can_listen, given_url, last_lines, signals_as_interrupts
from services.cli.local.rabbitmq import ensure_rabbitmq
from services.cli.local.system import System, first_order, pid_of_running, running
from services.cli.output.console import line, notice
from services.cli.output.exit_codes import FAILED, OK, CommandError, usage
from shared.clock import utc_now
from shared.database.session import Database
from shared.logs import configure
from shared.reading.jobs import count_jobs
from shared.settings import Settings, load
from shared.users.accounts import FIRST_ADMIN, ensure_first_admin

#: Seconds between two polls of the services' process.
POLL_INTERVAL_S = 0.5


def run() -> int:
    """Run the system until Ctrl-C or SIGTERM; returns the exit code."""
    with signals_as_interrupts():
        settings = prepared()
        try:
            with (
                ensure_rabbitmq(given_url(settings), settings.data_dir, notice) as url,
                opened_database(settings, create=True) as database,
            ):
                _run(settings.model_copy(update={"amqp_url": url}), database)
        except KeyboardInterrupt:
            notice("Ended.")
    return OK


def _run(settings: Settings, database: Database) -> None:
    with database.write() as session:
        password = ensure_first_admin(session, utc_now(), settings.admin_password)
    with running(settings, database) as system:
        _print_addresses(system, None if settings.admin_password else password)
        _first_query(system)
        _stay(system)


def prepared() -> Settings:
    """Read the settings and make sure that the data folder and the ports are ours to use.

    Raises:
        CommandError: another system runs here, or a port is taken; names the variable to set.
    """
    data_dir = load().data_dir
    pid = pid_of_running(data_dir)
    if pid is not None:
        raise usage(f"A system runs in {data_dir} already (process {pid}). End it, or set DOSEQR_DATA_DIR.")
    settings = load()
    configure("cli", "ERROR")
    for name, host, port in (
        ("DOSEQR_WEB_PORT", settings.web_host, settings.web_port),
        ("DOSEQR_STORE_PORT", settings.store_host, settings.store_port),
    ):
        if not can_listen(host, port):
            raise usage(f"Port {port} is taken on {host}. Set {name} to a free one.", name)
    return settings


def _print_addresses(system: System, password: str | None) -> None:
    settings = system.settings
    login = (
        f"{FIRST_ADMIN} with the one-time password {password}"
        if password
        else f"as before; forgotten: doseqr users set-password {FIRST_ADMIN}"
    )
    line(f"Page:   http://{settings.web_host}:{settings.web_port}")
    line(f"Login:  {login}")
    line(f"Files:  {settings.objects_dir.absolute()}")
    line(f"Logs:   {system.services_log.absolute()}")
    if settings.embedded:
        line(
            "Note:   embedded: all services in one process over an in-memory broker. What is in its queues is"
            " lost when it ends (the ledger brings it back at the next start); no other worker can join."
        )


def _first_query(system: System) -> None:
    if _has_jobs(system.database):
        return
    line("A first query, so that there is something to see:")
    order = first_order(system.database, system.settings, system.settings.day_of(utc_now()))
    try:
        with opened_broker(system.settings) as broker:
            outcome = query_and_wait(system.database, broker, order)
    except CommandError as error:
        notice(f"The first query did not come to its end: {error}")
        return
    line(f"Done; look at it with: doseqr show {outcome.query_id}")


def _has_jobs(database: Database) -> bool:
    with database.read() as session:
        return count_jobs(session) > 0


def _stay(system: System) -> None:
    line("It runs until Ctrl-C.")
    while not system.ended():
        time.sleep(POLL_INTERVAL_S)
    raise CommandError(
        FAILED,
        "failed",
        f"The services ended by themselves. From {system.services_log}:\n{last_lines(system.services_log)}",
    )
