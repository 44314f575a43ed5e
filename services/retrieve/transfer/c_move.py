"""Sends the C-MOVEs (or C-GETs) of one task over kept associations, one after another, and records each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from services.retrieve.context import RetrieveContext
from services.retrieve.ledger.conditions import add_counts
from services.retrieve.ledger.outcomes import move_row, save_move
from services.retrieve.planning.moves import Move
from services.retrieve.planning.response_outcome import DESTINATION_UNKNOWN, FinalResponse
from services.retrieve.transfer.c_get import GetScu
from shared.clock import Clock
from shared.database.session import Database
from shared.dicom.association.c_get import Fetched
from shared.dicom.association.c_move import move_identifier
from shared.dicom.association.sub_operations import MoveResult, SubOperations
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, PeerError
from shared.errors import DatabaseAwayError
from shared.node_access.pool import AssociationPool

log = structlog.get_logger(__name__)

#: C-MOVEs of one task that may end without a final answer before the rest is left to another task.
SILENCES_AT_ONCE = 2

#: No further C-MOVE begins after so long: tasks end within minutes.
TASK_BUDGET_S = 120.0

#: How often the PACS's own counters are written while a C-MOVE runs.
PROGRESS_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One C-MOVE that was sent, and how the PACS ended it."""

    move: Move
    answer: FinalResponse


@dataclass(slots=True)
class MoveAttempts:
    """What came of sending the C-MOVEs of a task."""

    attempts: list[Attempt] = field(default_factory=list)
    #: Not sent: the PACS was silent too often, time was up, or there was no association any more.
    unsent: list[Move] = field(default_factory=list)
    no_association: PeerError | None = None


class MoveScu:
    """Asks one PACS for objects."""

    def __init__(
        self, database: Database, pool: AssociationPool, report: Callable[[str], None], clock: Clock
    ) -> None:
        self._database = database
        self._pool = pool
        self._fetcher = GetScu(database, pool)
        self._report = report
        self._clock = clock

    def ask(
        self, context: RetrieveContext, task_id: int, moves: Sequence[Move], cancellation: Cancellation
    ) -> MoveAttempts:
        """Send C-MOVEs until all are answered, the PACS falls silent, or none can succeed.

        Raises:
            PeerError: there is no association for the first of them.
            InterruptedWorkError: stopping was asked for.
            DatabaseAwayError: the database is away.
        """
        asked, began, silences = MoveAttempts(), time.monotonic(), 0
        for number, one in enumerate(moves):
            late = time.monotonic() - began > TASK_BUDGET_S
            if silences >= SILENCES_AT_ONCE or (late and asked.attempts):
                asked.unsent = list(moves[number:])
                break
            try:
                answer = self._ask_one(context, task_id, one, cancellation)
            except PeerError as error:
                if not asked.attempts:
                    raise
                asked.unsent, asked.no_association = list(moves[number:]), error
                break
            asked.attempts.append(Attempt(one, answer))
            silences += answer.status_code is None
            if answer.status_code == DESTINATION_UNKNOWN:
                asked.unsent = list(moves[number + 1 :])
                break
        return asked

    def _ask_one(
        self, context: RetrieveContext, task_id: int, one: Move, cancellation: Cancellation
    ) -> FinalResponse:
        identifier = move_identifier(
            one.level, one.study_instance_uids, one.series_instance_uids, one.sop_instance_uids
        )
        live = _LiveCounts(self._database, self._report, context.job_id)
        asked_at = self._clock()
        if context.fetch:
            fetched = self._fetcher.fetch(context, identifier, live.update, cancellation)
        else:
            with self._pool.move(context.remote, cancellation) as association:
                asked_at = self._clock()
                fetched = Fetched(
                    association.c_move(identifier, context.store.ae_title, live.update, cancellation)
                )
        result = fetched.result
        answer = _answer(result, frozenset(fetched.stored))
        self._record(context.job_id, task_id, one, answer, result, asked_at, live)
        if isinstance(result.error, InterruptedWorkError):
            raise result.error
        return answer

    def _record(
        self,
        job_id: str,
        task_id: int,
        one: Move,
        answer: FinalResponse,
        result: MoveResult,
        asked_at: datetime,
        live: _LiveCounts,
    ) -> None:
        keys = {
            "study_instance_uids": one.study_instance_uids,
            "series_instance_uids": one.series_instance_uids,
        }
        if one.level == "IMAGE":
            keys["sop_instance_uids"] = one.sop_instance_uids
        with self._database.write() as session:
            save_move(
                session, job_id, task_id, move_row(one.level, keys, answer, result.duration_ms, asked_at)
            )
            add_counts(session, job_id, **live.rest(result.sub_operations))
        log.info(
            "move",
            job_id=job_id,
            task_id=task_id,
            level=one.level,
            objects=one.size,
            status_code=answer.status_code,
            error=answer.error.code if answer.error else "",
            duration_ms=result.duration_ms,
        )


def _answer(result: MoveResult, stored: frozenset[str]) -> FinalResponse:
    counters = result.sub_operations
    return FinalResponse(
        status_code=result.status_code,
        completed=counters.completed,
        failed=counters.failed,
        warning=counters.warning,
        failed_sop_instance_uids=result.failed_sop_instance_uids,
        error=result.error if isinstance(result.error, PeerError) else None,
        stored=stored,
    )


class _LiveCounts:
    """Adds the counters of one C-MOVE to those of its retrieve while it runs, now and then."""

    def __init__(self, database: Database, report: Callable[[str], None], job_id: str) -> None:
        self._database = database
        self._report = report
        self._job_id = job_id
        self._written = {"reported_completed": 0, "reported_warning": 0, "reported_failed": 0}
        self._next_at = time.monotonic() + PROGRESS_EVERY_S

    def update(self, counters: SubOperations) -> None:
        """Take the counters of a pending answer."""
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + PROGRESS_EVERY_S
        deltas = self.rest(counters)
        if not deltas:
            return
        try:
            with self._database.write() as session:
                add_counts(session, self._job_id, **deltas)
        except DatabaseAwayError as error:
            # These counts are for watching only; the C-MOVE goes on.
            log.debug("progress not written", job_id=self._job_id, error=str(error))
            return
        self._report(self._job_id)

    def rest(self, counters: SubOperations) -> dict[str, int]:
        """Return what is not written yet; counters that the PACS leaves out stay as they were."""
        told = {
            "reported_completed": counters.completed,
            "reported_warning": counters.warning,
            "reported_failed": counters.failed,
        }
        deltas = {}
        for name, number in told.items():
            if number is not None and number > self._written[name]:
                deltas[name] = number - self._written[name]
                self._written[name] = number
        return deltas
