"""Begins the runs of recurring queries, and ends them.

Every replica of the query service has one. Whichever inserts the row of a due time runs it: the row comes
first, then the query, whose id follows from the schedule and the due time. A replica that dies between the
two leaves a row without a query, and any other goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from services.query.commands import ScheduleOfJob
from services.query.ledger.schedule_runs import due_schedules, end_run, fail_run, has_ended, open_runs, take
from services.query.tasks import retrieve_of
from shared.clock import Clock
from shared.contract.json_types import JsonObject
from shared.contract.messages import BACKGROUND, INTERACTIVE, RunQuery
from shared.database.models import Query, Schedule, ScheduleRun
from shared.database.session import Database
from shared.errors import InvalidInputError, RetriableError
from shared.process.periodic import PeriodicWork, has_no_defect
from shared.schedules.ledger import Site
from shared.schedules.results import watermarks
from shared.schedules.watermark import read_plan

log = structlog.get_logger(__name__)

#: Seconds between two searches for what is due and what has ended.
TICK_S = 5.0

#: Begins a query, or goes on with it: `QueryHandler.begin`.
BeginQuery = Callable[[str, RunQuery, ScheduleOfJob], None]


class Scheduler(PeriodicWork):
    """Runs what is due, one run of a schedule at a time."""

    def __init__(self, database: Database, begin_query: BeginQuery, site: Site, clock: Clock) -> None:
        super().__init__("scheduler", TICK_S)
        self._database = database
        self._order = begin_query
        self._site = site
        self._clock = clock

    def tick(self) -> None:
        """End runs whose jobs have ended, then begin what is due.

        Raises:
            RetriableError: the database or the broker is away; what was not done is done by the next tick.
        """
        with self._database.read_outside() as session:
            running = [run.id for run in open_runs(session)]
        for run_id in running:
            has_no_defect(partial(self._go_on, run_id), run_id=run_id)
        with self._database.read_outside() as session:
            due = due_schedules(session, self._site, self._clock())
        for schedule_id in due:
            has_no_defect(partial(self._begin, schedule_id), schedule_id=schedule_id)

    def _begin(self, schedule_id: int) -> None:
        with self._database.write() as session:
            run_id = take(session, schedule_id, self._site, self._clock())
        if run_id is not None:
            log.info("schedule due", schedule_id=schedule_id, run_id=run_id)
            self._go_on(run_id)

    def _go_on(self, run_id: int) -> None:
        """Begin the query of an open run, or end the run if its jobs have ended."""
        with self._database.read() as session:
            run = session.get_one(ScheduleRun, run_id)
            query = session.get(Query, str(run.job_id))
            retrieve_id = retrieve_of(query) if query is not None else ""
            ended = query is not None and has_ended(session, query, retrieve_id)
            schedule = session.get_one(Schedule, run.schedule_id)
        if query is None:
            self._begin_query(run, schedule)
        elif ended:
            with self._database.write() as session:
                status = end_run(session, run_id, retrieve_id, self._site, self._clock())
            if status is not None:
                log.info("schedule ran", schedule_id=schedule.id, job_id=query.id, status=status)

    def _begin_query(self, run: ScheduleRun, schedule: Schedule) -> None:
        command = RunQuery(
            remote=schedule.remote_id,
            store=schedule.store_id,
            criteria=_criteria_of(run, schedule),
            requested_by=run.requested_by,
            retrieve=schedule.retrieve,
            priority=INTERACTIVE if run.requested else BACKGROUND,
        )
        try:
            self._order(str(run.job_id), command, ScheduleOfJob(schedule.id, schedule.name))
        except InvalidInputError as error:
            log.warning("schedule cannot run", schedule_id=schedule.id, error=str(error))
            with self._database.write() as session:
                fail_run(session, run.id, _sentence(error), self._site, self._clock())


def _criteria_of(run: ScheduleRun, schedule: Schedule) -> JsonObject:
    assert run.plan is not None, "a run without a plan has ended"
    days = read_plan(run.plan).days
    first, last = days[0].date_from.isoformat(), days[-1].date_until.isoformat()
    parts = [day.model_dump(mode="json") for day in days] if len(days) > 1 else []
    return {**schedule.criteria, "date_from": first, "date_until": last, "date_ranges": [*parts]}


def _sentence(error: InvalidInputError) -> str:
    return f"The query could not begin: {error.field.removeprefix('data.')}: {error.problem}."


def watermark_metrics(database: Database, clock: Clock) -> Iterator[Metric]:
    """Yield how far the watermarks of recurring queries lie behind; none while the database is away."""
    lag = GaugeMetricFamily(
        "doseqr_watermark_lag_seconds",
        "Seconds since the moment up to which everything is complete",
        labels=("schedule", "node", "type"),
    )
    try:
        with database.read() as session:
            found = watermarks(session)
    except RetriableError:
        return
    for watermark in found:
        lag_s = (clock() - watermark.at).total_seconds()
        for type_ in watermark.types:
            lag.add_metric((watermark.schedule, watermark.remote, type_), lag_s)
    yield lag
