"""Observes everything of which people are notified; of all replicas one at a time.

Should two observe at once, because a lease ended, nothing happens twice: each observation is written with its
cause locked, and each event has a key of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog

from shared.broker.port import Broker
from shared.broker.topology import DEAD_LETTERS
from shared.clock import Clock
from shared.contract.json_types import JsonDocument
from shared.contract.text import StoreState
from shared.database.session import Database
from shared.errors import BrokerAwayError, DatabaseAwayError, RetriableError
from shared.notifications.causes import (
    add_event,
    addresses_for,
    bad_causes,
    cause_key,
    flapping_causes,
    hold,
    known_events,
    lock_cause,
    move_mark,
    pass_time,
    read_mark,
    record,
    release,
    take_turn,
)
from shared.notifications.episode import Observation
from shared.notifications.kinds import NoticeKind, Phase
from shared.notifications.outbox import prune
from shared.process.periodic import Repeating
from shared.reading.lists.attention import blown_fuses
from shared.reading.notifications.observations import (
    ended_jobs,
    ended_runs,
    schedules_with_ended_runs,
    silent_stations,
)
from shared.settings import Settings

log = structlog.get_logger(__name__)

#: Seconds between two observations.
TICK_S = 5.0
#: Seconds for which a replica alone observes; it is renewed with each observation.
LEASE_S = 30.0
#: What ended is read again for so long: its row may be written later than the time in it.
OVERLAP = timedelta(minutes=10)
#: How often stations are observed, and how often what is long past is deleted.
COVERAGE_EVERY, PRUNE_EVERY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WatchRules:
    """When something is worth a notification."""

    quiet: timedelta
    site_zone: str
    low_bytes: int
    last_studies: int
    today: Callable[[datetime], date]


def rules_of(settings: Settings) -> WatchRules:
    """Return what the settings say."""
    return WatchRules(
        timedelta(seconds=settings.notification_quiet_time),
        settings.time_zone,
        settings.store_low_bytes,
        settings.coverage_last_studies,
        settings.day_of,
    )


class Watcher:
    """Observes, and writes events and their deliveries."""

    def __init__(
        self,
        database: Database,
        broker: Broker,
        store_states: Callable[[], Iterable[StoreState]],
        rules: WatchRules,
        clock: Clock,
        holder: str,
        *,
        tick_s: float = TICK_S,
        lease_s: float = LEASE_S,
    ) -> None:
        """`holder` names this replica; `store_states`: the last heartbeats of the store."""
        self._database = database
        self._broker = broker
        self._store_states = store_states
        self._rules = rules
        self._clock = clock
        self._holder = holder
        self._lease = timedelta(seconds=lease_s)
        self._repeating = Repeating("notifications", tick_s, self.tick)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._repeating.start()

    def stop(self) -> None:
        """End it, after what is under way."""
        self._repeating.stop()
        try:
            with self._database.write() as session:
                release(session, "watch", self._holder, self._clock())
        except DatabaseAwayError:
            log.debug("the lease of the watcher ends by itself")

    def tick(self) -> None:
        """Observe everything once, if no other replica does.

        Raises:
            RetriableError: the database is away; what was not observed is observed by the next tick.
        """
        with self._database.write() as session:
            if not hold(session, "watch", self._holder, self._clock(), self._lease):
                return
        parts = (
            *(self._ended, self._store, self._dead_letters, self._nodes),
            *(self._coverage, self._steady, self._prune),
        )
        for part in parts:
            self._guard(part)

    def _guard(self, part: Callable[[], None]) -> None:
        try:
            part()
        except RetriableError:
            raise
        except Exception:
            # The defect of one observation must not keep people from being notified of the others.
            log.exception("defect", part=part.__name__)

    def _ended(self) -> None:
        """Observe the jobs and runs that ended since the last time."""
        now = self._clock()
        with self._database.write() as session:
            begun, mark = read_mark(session, "begun", now), read_mark(session, "ended", now)
        since = max(begun, mark - OVERLAP)
        self._jobs(since)
        with self._database.read_outside() as session:
            schedules = schedules_with_ended_runs(session, since)
        for schedule_id in schedules:
            self._runs(schedule_id, begun)
        with self._database.write() as session:
            move_mark(session, "ended", now)

    def _jobs(self, since: datetime) -> None:
        with self._database.read_outside() as session:
            addresses = addresses_for(session, NoticeKind.JOB)
            jobs = list(ended_jobs(session, since))
            known = known_events(session, [job.key for job in jobs])
        for job in jobs:
            if job.key not in known:
                wanted = [
                    address
                    for address, owner in addresses
                    if owner in ("", job.owner) and job.status in address.outcomes
                ]
                # Written also if nobody wants it, so that it is not sent once somebody does.
                with self._database.write() as session:
                    add_event(
                        session,
                        job.key,
                        NoticeKind.JOB,
                        Phase.ENDED,
                        job.ended_at,
                        job.details,
                        wanted,
                        self._rules.site_zone,
                    )

    def _runs(self, schedule_id: int, begun: datetime) -> None:
        kind = NoticeKind.SCHEDULE
        with self._database.write() as session:
            cause = lock_cause(session, kind, cause_key(kind, schedule_id))
            for run in ended_runs(session, schedule_id, cause.observed, begun):
                cause.observed = run.id
                if run.bad is not None:
                    observation = Observation(run.ended_at, run.bad)
                    record(session, cause, observation, run.details, self._rules.quiet, self._rules.site_zone)

    def _store(self) -> None:
        states = list(self._store_states())
        if not states:
            return
        free = [
            number
            for state in states
            for number in (state.objects_free_bytes, state.database_free_bytes)
            if number is not None
        ]
        least = min(free, default=None)
        problem = next((state.problem for state in states if state.problem), "")
        about = {"free_bytes": least, "problem": problem}
        low = least is not None and least < self._rules.low_bytes
        self._observe(NoticeKind.STORE, ("space",), {**about, "refuses": False}, bad=low)
        self._observe(NoticeKind.STORE, ("objects",), {**about, "refuses": True}, bad=bool(problem))

    def _dead_letters(self) -> None:
        try:
            number = self._broker.queue_state(DEAD_LETTERS).ready
        except BrokerAwayError:
            return
        self._observe(NoticeKind.DEAD_LETTERS, (), {"number": number}, bad=number > 0, size=number)

    def _nodes(self) -> None:
        now, kind = self._clock(), NoticeKind.NODE
        with self._database.read_outside() as session:
            blown = {
                cause_key(kind, node.node_id): {
                    "node": node.name,
                    "node_id": node.node_id,
                    "problem": node.note,
                }
                for node in blown_fuses(session, now)
            }
            known = bad_causes(session, kind)
        for key, details in {**known, **blown}.items():
            self._write(kind, key, details, Observation(now, key in blown))

    def _coverage(self) -> None:
        now, kind = self._clock(), NoticeKind.COVERAGE
        with self._database.write() as session:
            if not take_turn(session, "coverage", now, COVERAGE_EVERY):
                return
        with self._database.read() as session:
            silent = {
                cause_key(kind, station.node_id, station.type, station.station): station.details
                for station in silent_stations(session, self._rules.last_studies, self._rules.today(now), now)
            }
            known = bad_causes(session, kind)
        for key, details in {**known, **silent}.items():
            self._write(kind, key, details, Observation(now, key in silent))

    def _steady(self) -> None:
        with self._database.read_outside() as session:
            flapping = flapping_causes(session)
        for kind, key in flapping:
            with self._database.write() as session:
                cause = lock_cause(session, kind, key)
                pass_time(session, cause, self._clock(), self._rules.quiet, self._rules.site_zone)

    def _prune(self) -> None:
        now = self._clock()
        with self._database.write() as session:
            if take_turn(session, "prune", now, PRUNE_EVERY):
                prune(session, now)

    def _observe(
        self, kind: NoticeKind, about: tuple[str, ...], details: JsonDocument, *, bad: bool, size: int = 0
    ) -> None:
        """Write an observation; one that changes nothing costs no transaction."""
        key = cause_key(kind, *about)
        with self._database.read_outside() as session:
            was_bad = key in bad_causes(session, kind)
        if bad or was_bad:
            self._write(kind, key, details, Observation(self._clock(), bad, size))

    def _write(self, kind: NoticeKind, key: str, details: JsonDocument, observation: Observation) -> None:
        with self._database.write() as session:
            cause = lock_cause(session, kind, key)
            record(session, cause, observation, details, self._rules.quiet, self._rules.site_zone)
