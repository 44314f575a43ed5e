"""`doseqr reread`: dose reports on disk read anew, where an earlier version has read them."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client.session import opened_database, settings_of_command
from services.cli.output.console import JsonOption, line, notice, print_json
from services.cli.output.exit_codes import FAILED, CommandError, usage

if TYPE_CHECKING:
    from services.store.dose_reports.reread import RereadCounts
    from services.store.index.earlier_reports import NumberOfReports

#: Seconds between two lines of progress.
PROGRESS_EVERY_S = 5.0


def reread(
    before: Annotated[
        str,
        typer.Option("--before", metavar="TIME", help="Only what was read before (ISO 8601); default: now."),
    ] = "",
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Read at most so many reports.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and count, but change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read dose reports on disk anew after an upgrade, so that their figures are those of this version.

    Run it where the store runs, which need not stop. A report that cannot be read now keeps its figures.
    Interrupted, it goes on with the same --before. Exit code 5 if the folder of objects is not there.

    Examples: doseqr reread --dry-run --limit 100; doseqr reread --before 2026-03-01T18:00Z
    """
    from services.store.dose_reports.reread import RereadCounts, reread_reports
    from services.store.index.earlier_reports import number_of_reports

    until = _time(before)
    settings = settings_of_command()
    root = settings.objects_dir
    counts, progress = RereadCounts(), _ProgressLines()
    with opened_database(settings) as database:
        number = number_of_reports(database, until)
        if number.on_disk and not root.is_dir():
            sentence = f"{root}: the folder of objects is not there; run it where the store runs."
            raise CommandError(FAILED, "no_objects", sentence)
        if number.on_disk and not dry_run:
            notice(f"if this is interrupted, go on with: doseqr reread --before {_text(until)}")
        for counts in reread_reports(database, root, until, dry_run=dry_run, limit=limit):
            progress.show(counts, number.on_disk if limit is None else min(limit, number.on_disk))
    if as_json:
        print_json({"before": _text(until), "dry_run": dry_run} | asdict(number) | asdict(counts))
    else:
        _print(number, counts, dry_run=dry_run)


class _ProgressLines:
    """Lines on standard error, one every few seconds."""

    def __init__(self) -> None:
        self._printed_at = time.monotonic()

    def show(self, counts: RereadCounts, total: int) -> None:
        if time.monotonic() - self._printed_at >= PROGRESS_EVERY_S:
            self._printed_at = time.monotonic()
            notice(
                f"{counts.read} of {total} reports read, {counts.changed + counts.gained} with new figures"
            )


def _print(number: NumberOfReports, counts: RereadCounts, *, dry_run: bool) -> None:
    line(
        f"{counts.read} of {number.on_disk} reports read: {counts.changed} changed, {counts.gained} with "
        f"figures for the first time, {counts.unchanged} unchanged, {counts.kept} not readable now"
    )
    if number.without_file:
        line(f"{number.without_file} reports are no longer on disk and keep their figures")
    if dry_run:
        line("nothing was changed")


def _time(text: str) -> datetime:
    if not text:
        return datetime.now(UTC)
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise usage(f"--before: {text!r} is no time such as 2026-03-01T18:00Z") from None
    return given if given.tzinfo is not None else given.astimezone()


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
