"""The events of a job as lines of JSON, for `doseqr follow --json`."""

from __future__ import annotations

import json
import threading

from services.cli.client.events import listening
from services.cli.client.follower import Follower
from services.cli.client.session import opened_broker
from services.cli.output.console import block
from services.cli.output.progress import reporting
from shared.contract.messages import ENDED, Event, JobEnded
from shared.database.session import Database
from shared.reading.job_json import summary
from shared.reading.jobs import Job, kind_of
from shared.settings import Settings

#: Seconds in which the event of an end comes that stands in the database already.
END_WITHIN_S = 5.0


class EventLines:
    """Prints events of one job, a line of JSON for each, from the first state to the end; from any thread."""

    def __init__(self, job_id: str) -> None:
        self._job_id = job_id
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def event(self, event: Event) -> None:
        """Print an event of the job; nothing after its end."""
        is_end = isinstance(event, JobEnded) and event.job_id == self._job_id
        self._print(event.NAME, event.model_dump(mode="json"), is_end=is_end)

    def state(self, job: Job) -> None:
        """Print how the job stands, as the first line."""
        self._print("status", summary(job), is_end=False)

    def end(self, job: Job, within_s: float = END_WITHIN_S) -> None:
        """Print the end of the job, unless its event was printed or comes within this time."""
        if not self._ended.wait(within_s):
            self._print(job.status, summary(job), is_end=True)

    def _print(self, name: str, data: object, *, is_end: bool) -> None:
        with self._lock:
            if self._ended.is_set():
                return
            block(json.dumps({"event": name, "data": data}) + "\n")
            if is_end:
                self._ended.set()


def follow_job(settings: Settings, database: Database, job: Job, *, as_json: bool) -> Job:
    """Show a job until it ends, and return it as it is then.

    Raises:
        CommandError: broker, database or workers stayed away; or the wait was interrupted.
        BrokerAwayError: the broker cannot be reached.
    """
    lines = EventLines(job.id) if as_json else None
    if job.status in ENDED:
        if lines is not None:
            lines.end(job, 0.0)
        return job
    with (
        opened_broker(settings) as broker,
        listening(broker, [f"*.*.{job.id}"], lines.event if lines else None) as event_queue,
        reporting() as reporter,
    ):
        if lines is not None:
            lines.state(job)
        ended = Follower(database, broker, event_queue, reporter).until_ended(kind_of(job), job.id)
        if lines is not None:
            lines.end(ended)
    return ended
