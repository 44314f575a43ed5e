"""`doseqr workers`: see what workers do, drain them, and change the level of their logs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from services.cli.client.session import opened_broker, settings_of_command, who
from services.cli.output.console import JsonOption, notice, print_json, table
from services.cli.output.exit_codes import away, usage

if TYPE_CHECKING:
    from shared.broker.port import Broker
    from shared.contract.messages import ControlCommand, WorkerStatus

app = typer.Typer(help="See what workers do, drain them, and change the level of their logs.")

ServiceName = Literal["echo", "query", "retrieve", "store", "web"]
ServiceOption = Annotated[ServiceName | None, typer.Option(help="Only workers of this service.")]
WorkerOption = Annotated[str, typer.Option(help="Only this worker, by the name that ping prints.")]
DrainWaitOption = Annotated[
    float, typer.Option("--wait", min=0.5, max=3600, help="Seconds to wait until they are drained.")
]
WaitOption = Annotated[float, typer.Option(min=0.5, max=60, help="Seconds to wait for responses.")]


@app.command("ping")
def ping(
    service: ServiceOption = None,
    worker: WorkerOption = "",
    wait: WaitOption = 3.0,
    as_json: JsonOption = False,
) -> None:
    """List the workers that respond: what they are, and what they do now.

    Examples: doseqr workers ping; doseqr workers ping --service query --json
    """
    from shared.contract.messages import PingWorkers

    order = PingWorkers(service=service, worker=worker, requested_by=who())
    _print(_responses(order, wait), as_json=as_json)


@app.command("drain")
def drain(
    service: ServiceOption = None,
    worker: WorkerOption = "",
    end: Annotated[bool, typer.Option("--end", help="End each process once it is drained.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every worker: all work stops.")] = False,
    wait: Annotated[
        float, typer.Option(min=0.5, max=3600, help="Seconds to wait until they are drained.")
    ] = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Let workers take no more tasks and finish those in hand; wait until they are drained.

    Example: doseqr workers drain --worker query@host:17 --end
    """
    from shared.contract.messages import DrainWorkers

    if not (service or worker or everything):
        raise usage("say which: --service, --worker or --all", "worker")
    order = DrainWorkers(service=service, worker=worker, end=end, requested_by=who())
    _print(_responses(order, wait, until_drained=True), as_json=as_json)


@app.command("resume")
def resume(
    service: ServiceOption = None,
    worker: WorkerOption = "",
    wait: WaitOption = 3.0,
    as_json: JsonOption = False,
) -> None:
    """Let drained workers take tasks again.

    Example: doseqr workers resume --service query
    """
    from shared.contract.messages import ResumeWorkers

    order = ResumeWorkers(service=service, worker=worker, requested_by=who())
    _print(_responses(order, wait), as_json=as_json)


@app.command("log-level")
def log_level(
    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], typer.Argument(help="The level of the log.")
    ],
    service: ServiceOption = None,
    worker: WorkerOption = "",
    for_s: Annotated[
        int, typer.Option("--for", min=1, max=86400, help="Seconds after which it falls back.")
    ] = 900,
    wait: WaitOption = 3.0,
    as_json: JsonOption = False,
) -> None:
    """Change the level of the log of workers for a while.

    Example: doseqr workers log-level DEBUG --service query --for 600
    """
    from shared.contract.messages import SetLogLevel

    order = SetLogLevel(level=level, for_s=for_s, service=service, worker=worker, requested_by=who())
    _print(_responses(order, wait), as_json=as_json)


def _responses(order: ControlCommand, wait_s: float, *, until_drained: bool = False) -> list[WorkerStatus]:
    with opened_broker(settings_of_command()) as broker:
        found = _control(broker, order, wait_s, until_drained=until_drained)
    if not found:
        raise away("No worker responded. See whether services run: doseqr serve all, docker compose ps")
    if until_drained and any(status.state != "drained" for status in found):
        notice("Not all are drained yet; they go on finishing their tasks.")
    return found


def _control(
    broker: Broker, order: ControlCommand, wait_s: float, *, until_drained: bool = False
) -> list[WorkerStatus]:
    """Publish a control message; return the last status of each worker that responded, by name.

    It waits for `wait_s` seconds, since nobody knows how many will respond; `until_drained`: less, if all
    that responded within three seconds are drained.

    Raises:
        BrokerAwayError: the broker cannot be reached.
    """
    from services.cli.client.events import listening
    from shared.contract.envelope import new_id
    from shared.contract.messages import WorkerStatus
    from shared.messaging.publisher import Publisher

    command_id = new_id()
    found: dict[str, WorkerStatus] = {}
    with listening(broker, [f"worker.status.{command_id}"]) as event_queue:
        Publisher(broker, "cli").command(order, command_id=command_id)
        began = time.monotonic()
        deadline = began + wait_s
        while (now := time.monotonic()) < deadline:
            event = event_queue.next(min(0.25, deadline - now))
            if isinstance(event, WorkerStatus):
                known = found.get(event.worker)
                # A late copy of the first status does not undo the last.
                if known is None or known.state != "drained":
                    found[event.worker] = event
            all_drained = bool(found) and all(status.state == "drained" for status in found.values())
            if until_drained and all_drained and time.monotonic() - began >= min(3.0, wait_s):
                break
    return sorted(found.values(), key=lambda status: status.worker)


def _print(found: list[WorkerStatus], *, as_json: bool) -> None:
    if as_json:
        print_json([status.model_dump(mode="json") for status in found])
        return
    columns = ("worker", "state", "tasks", "log level", "version", "since")
    table(columns, [_row(status) for status in found])


def _row(status: WorkerStatus) -> list[str]:
    tasks = ", ".join(f"{task.kind} {task.task_id} of {task.job_id}" for task in status.tasks)
    until = f" until {status.log_level_until}" if status.log_level_until else ""
    version = status.versions.get("doseqr", "")
    return [status.worker, status.state, tasks, f"{status.log_level}{until}", version, status.started_at]
