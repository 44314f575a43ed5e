"""The `doseqr` command: puts the subcommands together and turns errors into exit codes."""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.main import get_command

from services.cli.commands import (
    echo,
    handover,
    nodes,
    profile,
    ready,
    register,
    serve,
    settings,
    simulate,
    tokens,
    users,
    version,
)
from services.cli.commands.evidence import calendar, compare, coverage, reconcile
from services.cli.commands.jobs import (
    again,
    follow,
    jobs,
    lists,
    order,
    pause,
    qr,
    query,
    schedules,
    trace,
)
from services.cli.commands.operation import (
    check,
    dead,
    fsck,
    notifications,
    reread,
    retention,
    schema,
    secret_files,
    support_bundle,
    topology,
    workers,
)
from services.cli.local import commands as local
from services.cli.output.console import block, notice
from services.cli.output.exit_codes import CANCELLED, FAILED, CommandError, as_command_error
from shared.errors import DoseQRError
from shared.process.garbage import collect_rarely

# The standard library's: it writes to standard error even before anything is configured.
log = logging.getLogger(__name__)

app = typer.Typer(
    name="doseqr",
    help="Finds the dose objects in a PACS and brings exactly those to a store, verified to the last one.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 completed, 1 incomplete, 2 wrong usage, 3 a node cannot be reached or refused, "
    "4 broker, database or workers away, 5 failed otherwise, 130 cancelled.",
)
app.add_typer(nodes.app, name="nodes", no_args_is_help=True)
app.add_typer(handover.app, name="handover", no_args_is_help=True)
app.add_typer(dead.app, name="dead", no_args_is_help=True)
app.add_typer(lists.app, name="lists", no_args_is_help=True)
app.add_typer(workers.app, name="workers", no_args_is_help=True)
app.add_typer(schedules.app, name="schedules", no_args_is_help=True)
app.add_typer(users.app, name="users", no_args_is_help=True)
app.add_typer(retention.app, name="retention", no_args_is_help=True)
app.add_typer(notifications.app, name="notifications", no_args_is_help=True)
app.add_typer(tokens.app, name="tokens", no_args_is_help=True)
app.add_typer(local.app, name="local", hidden=True, no_args_is_help=True)
app.command("echo")(echo.echo)
app.command("query")(query.query)
app.command("retrieve")(query.retrieve)
app.command("show")(jobs.show)
app.command("jobs")(jobs.jobs)
app.command("profile")(profile.profile)
app.command("export")(jobs.export)
app.command("cancel")(jobs.cancel)
app.command("pause")(pause.pause)
app.command("resume")(pause.resume)
app.command("raise")(order.raise_priority)
app.command("follow")(follow.follow)
app.command("again")(again.again)
app.command("why")(jobs.why)
app.command("trace")(trace.trace)
app.command("calendar")(calendar.calendar)
app.command("coverage")(coverage.coverage)
app.command("compare")(compare.compare)
app.command("reconcile")(reconcile.reconcile)
app.command("register")(register.register)
app.command("secrets")(secret_files.secret_files)
app.command("settings")(settings.settings)
app.command("serve")(serve.serve)
app.command("ready")(ready.ready)
app.command("check")(check.check)
app.command("fsck")(fsck.fsck)
app.command("reread")(reread.reread)
app.command("schema")(schema.schema)
app.command("support-bundle")(support_bundle.support_bundle)
app.command("topology")(topology.topology)
app.command("version")(version.version)
app.command("simulate")(simulate.simulate)


@app.callback()
def options(
    show_version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=version.print_and_exit, help="Print the version."),
    ] = False,
) -> None:
    """Find the dose objects in a PACS and bring exactly those to a store, verified to the last one."""
    del show_version


@app.command(
    "qr",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def classic(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[FLAGS] QR_ID STORE_ID")] = None,
) -> None:
    """Query and retrieve with classic flags, for cron lines; doseqr qr -h lists them.

    Example: doseqr qr -ct -f 2026-03-01 -t 2026-03-31 1 2
    """
    raise typer.Exit(qr.run(arguments or []))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        collect_rarely()
    try:
        _command().main(args=given, prog_name="doseqr")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except KeyboardInterrupt:
        return CANCELLED
    except DoseQRError as error:
        return _print_error(as_command_error(error), as_json="--json" in given)
    except Exception:
        # A defect of ours: Python's own exit code, 1, would mean that a job is incomplete.
        log.exception("defect")
        return FAILED
    return 0


@functools.cache
def _command() -> Any:
    return get_command(app)


def _print_error(error: CommandError, *, as_json: bool) -> int:
    if as_json:
        block(json.dumps({"error": {"code": error.code, **error.details}}) + "\n")
    notice(f"doseqr: {error}")
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
