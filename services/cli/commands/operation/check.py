"""`doseqr check`: everything that keeps an installation from working, at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.checks.check_result import CheckResult, CheckState, failed, ok, warning
from services.cli.client.session import settings_of_command
from services.cli.commands.serve import Service
from services.cli.output.console import JsonOption, line, print_json, table
from services.cli.output.exit_codes import AWAY, FAILED, OK, UNREACHABLE, USAGE
from shared.clock import utc_now

if TYPE_CHECKING:
    from shared.settings import Settings


def check(
    service: Annotated[
        Service | None, typer.Option(help="Check the rights that this service needs at the broker.")
    ] = None,
    nodes: Annotated[bool, typer.Option(help="Send a C-ECHO to each node.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Check settings, database, broker, ports, certificates, disks and nodes; change nothing.

    Exit code 0 if all is well (warnings aside); otherwise that of the worst: 2 settings, 4 broker or
    database, 5 this machine, 3 nodes.

    Examples: doseqr check; doseqr check --no-nodes --json
    """
    settings = settings_of_command()
    results = results_of(settings, "" if service is None else service.value, with_nodes=nodes)
    code = _exit_code(results)
    if as_json:
        print_json({"ok": code == OK, "checks": [asdict(result) for result in results]})
    else:
        rows = [(result.state, result.check, result.subject, result.detail) for result in results]
        table(("state", "check", "subject", "detail"), rows)
        number = len([result for result in results if result.state is CheckState.FAILED])
        line(f"{number} of {len(results)} failed" if number else f"all {len(results)} checks passed")
    raise typer.Exit(code)


def results_of(settings: Settings, service: str, *, with_nodes: bool) -> list[CheckResult]:
    """Return the results of all checks."""
    from services.cli.checks.certificates import check_certificates
    from services.cli.checks.connections import check_broker, check_database_and_nodes
    from services.cli.checks.machine import check_machine

    # Side by side: what is away takes its time to be noticed.
    with ThreadPoolExecutor() as threads:
        parts = [
            threads.submit(check_database_and_nodes, settings, with_nodes=with_nodes),
            threads.submit(check_broker, settings, service),
            threads.submit(check_machine, settings),
            threads.submit(check_certificates, settings, utc_now()),
        ]
        return _settings(settings) + [result for part in parts for result in part.result()]


def _settings(settings: Settings) -> list[CheckResult]:
    from shared.settings import unknown_variables

    results = [
        warning("settings", variable, "is no setting of DoseQR: doseqr settings lists them")
        for variable in unknown_variables()
    ]
    if settings.handover_command and settings.handover_url:
        results.append(
            failed("settings", "DOSEQR_HANDOVER_COMMAND", "set it or DOSEQR_HANDOVER_URL, not both")
        )
    return [*results, ok("settings", "values", "all are well-formed")]


def _exit_code(results: list[CheckResult]) -> int:
    wrong = {result.check for result in results if result.state is CheckState.FAILED}
    if "settings" in wrong:
        return USAGE
    if wrong & {"database", "broker"}:
        return AWAY
    if wrong - {"node"}:
        return FAILED
    return UNREACHABLE if wrong else OK
