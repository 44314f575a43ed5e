"""`doseqr retention`: what old jobs and files would be removed, and their removal now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from services.cli.client.session import opened_database, settings_of_command
from services.cli.output.console import JsonOption, line, notice, print_json
from services.cli.output.exit_codes import usage

if TYPE_CHECKING:
    from shared.reading.retention.preview import RetentionResult, RunResult
    from shared.settings import Settings

app = typer.Typer(help="See which old jobs and files would be removed, and remove them now.")

_OFF = "stay for ever"


@app.command("preview")
def preview(as_json: JsonOption = False) -> None:
    """Show what would be removed now by the settings; remove nothing.

    Examples: doseqr retention preview; doseqr retention preview --json
    """
    _print(_preview(settings_of_command()), as_json=as_json)


@app.command("apply")
def apply(as_json: JsonOption = False) -> None:
    """Let the services remove now what `preview` shows; otherwise they do so every hour.

    Exit code 2 if the settings let everything stay for ever.

    Examples: doseqr retention apply; doseqr retention apply --json
    """
    from getpass import getuser

    from shared.clock import utc_now
    from shared.retention.policy import AUDIT, FILES, JOBS
    from shared.retention.runs import request

    settings = settings_of_command()
    policy = settings.retention
    limits = {JOBS: policy.job_days, FILES: policy.file_days, AUDIT: policy.audit_days}
    wanted = [name for name, days in limits.items() if days]
    if not wanted:
        raise usage(
            "Jobs, files and entries of the audit trail stay for ever: set DOSEQR_JOB_RETENTION_DAYS, "
            "DOSEQR_FILE_RETENTION_DAYS or DOSEQR_AUDIT_RETENTION_DAYS, here and for the services."
        )
    found = _preview(settings)
    with opened_database(settings) as database, database.write() as session:
        for name in wanted:
            request(session, name, getuser(), utc_now())
    _print(found, as_json=as_json)
    notice(
        "The query service removes the jobs, the store the files, the page entries of the audit trail: from "
        "within half a minute on."
    )


def _preview(settings: Settings) -> RetentionResult:
    from shared.clock import utc_now
    from shared.reading.retention.preview import COUNTED_ALL, retention_preview

    with opened_database(settings) as database, database.read() as session:
        return retention_preview(session, settings.retention, settings.objects_dir, utc_now(), COUNTED_ALL)


def _print(found: RetentionResult, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    jobs, files = found["jobs"], found["files"]
    if jobs["before"] is None:
        line(f"jobs: {_OFF}")
    else:
        counts = f"{jobs['queries']} queries, {jobs['retrieves']} retrieves, {jobs['studies']} studies"
        line(f"jobs that ended before {jobs['before']}: {_more(counts, more=jobs['more'])}")
        _print_rest(jobs["oldest"], jobs["newest"], jobs["kept_back"])
    _print_run(jobs["run"])
    if files["before"] is None:
        line(f"files: {_OFF}")
    else:
        counts = f"{files['files']} files, {files['bytes']} bytes, {files['delivered']} of them handed over"
        line(f"files that came before {files['before']}: {_more(counts, more=files['more'])}")
        _print_rest(files["oldest"], files["newest"], files["kept_back"])
        if files["free_goal_bytes"]:
            line(f"  until {files['free_goal_bytes']} bytes are free; now: {files['free_bytes']}")
    _print_run(files["run"])
    audit = found["audit"]
    if audit["before"] is None:
        line(f"entries of the audit trail: {_OFF}")
    else:
        counts = _more(str(audit["entries"]), more=audit["more"])
        line(f"entries of the audit trail from before {audit['before']}: {counts}")
    _print_run(audit["run"])


def _more(counts: str, *, more: bool) -> str:
    return f"{counts}, and more" if more else counts


def _print_rest(oldest: str | None, newest: str | None, kept_back: int) -> None:
    if oldest is not None:
        line(f"  from {oldest} until {newest}")
    if kept_back:
        line(f"  {kept_back} others are as old and still needed")


def _print_run(run: RunResult | None) -> None:
    if run is None or run["began_at"] is None:
        return
    removed = ", ".join(f"{number} {name}" for name, number in run["removed"].items()) or "nothing"
    ended = run["ended_at"] or "not ended"
    line(f"  last run: {run['began_at']} to {ended}, removed {removed}")
    if run["detail"]:
        line(f"  {run['detail']}")
