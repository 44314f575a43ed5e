"""How a waiting command shows a job: a live line on a terminal, plain lines of changes when piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from services.cli.output.console import notice, visible
from shared.database.models.query import Query
from shared.reading.jobs import Job, kind_of

#: Seconds between two plain lines of one job, at least.
PLAIN_EVERY_S = 5.0


class Reporter(Protocol):
    """Shows a job while it runs."""

    def show(self, job: Job, pace: str = "") -> None:
        """Show how the job stands, and how fast its objects arrive."""
        ...

    def notify(self, text: str) -> None:
        """Print something that happened."""
        ...


class PlainReporter:
    """Lines on standard error, when something changed."""

    def __init__(self) -> None:
        self._last = ""
        self._status = ""
        self._printed_at = 0.0

    def show(self, job: Job, pace: str = "") -> None:
        """Show how the job stands, if that has changed."""
        text = progress_text(job, pace)
        now = time.monotonic()
        new_status = f"{job.id} {job.status}" != self._status
        if text != self._last and (new_status or now - self._printed_at >= PLAIN_EVERY_S):
            notice(text)
            self._last, self._printed_at, self._status = text, now, f"{job.id} {job.status}"

    def notify(self, text: str) -> None:
        """Print something that happened."""
        notice(text)


class LiveReporter:
    """One line that moves."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def show(self, job: Job, pace: str = "") -> None:
        """Show how the job stands."""
        self._status.update(escape(progress_text(job, pace)))

    def notify(self, text: str) -> None:
        """Print something that happened, above the line."""
        self._status.console.print(escape(visible(text)), highlight=False)


@contextmanager
def reporting() -> Iterator[Reporter]:
    """Give the reporter that fits standard error."""
    if not sys.stderr.isatty():
        yield PlainReporter()
        return
    with Console(stderr=True).status("…") as status:
        yield LiveReporter(status)


def progress_text(job: Job, pace: str = "") -> str:
    """Return how a job stands in one line."""
    if isinstance(job, Query):
        counts = (
            f"slices {job.slices_complete + job.slices_failed} of {job.slices_total}, studies "
            f"{job.studies_found} found, {job.studies_examined} examined, {job.studies_kept} kept"
        )
    else:
        counts = f"objects {job.asked} requested, {job.arrived} arrived" + (f", {pace}" if pace else "")
    note = f" ({job.waits_for})" if job.note else ""
    return visible(f"{kind_of(job)} {job.id}: {job.status}; {counts}{note}")
