"""Sends the C-MOVEs or C-GETs of one task over kept associations, one after another, and records each."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from pydicom.dataset import Dataset

from services.retrieve.context import RetrieveContext
from services.retrieve.ledger.conditions import add_counts
from services.retrieve.ledger.outcomes import move_row, save_move
from services.retrieve.ledger.selection import kept_classes
from services.retrieve.planning.attempts import (
    DESTINATION_UNKNOWN,
    Attempt,
    FinalResponse,
    HeaderAttempts,
    MoveAttempts,
)
from services.retrieve.planning.moves import Move
from services.retrieve.transfer.object_spool import ObjectSpool
from shared.clock import Clock
from shared.database.session import Database
from shared.dicom.association.c_move import move_identifier
from shared.dicom.association.sub_operations import MoveResult, SubOperations
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, NotNowError, PeerError
from shared.dicom.relay.c_get import Fetched
from shared.errors import DatabaseAwayError
from shared.node_access.archive import ArchiveAccess
from shared.node_access.pool import AssociationPool

log = structlog.get_logger(__name__)

#: Requests of one task that may end without a final response before the rest is left to another task.
MAX_SILENT_REQUESTS = 2

#: Requests of one task in succession that may fail and bring nothing before the rest is left to another task.
MAX_FRUITLESS_REQUESTS = 3

#: Seconds after which a task sends no further request: tasks end within minutes.
TASK_BUDGET_S = 120.0

#: Seconds between two updates of the PACS's own counters while a request runs.
PROGRESS_INTERVAL_S = 1.0


#: Jobs whose storage classes are kept in memory; forgetting one costs two statements.
_REMEMBERED_JOBS = 100


class GetScu:
    """Sends C-GETs over associations that are negotiated for what a job needs."""

    def __init__(self, database: Database, pool: ArchiveAccess, spool: ObjectSpool) -> None:
        self._database = database
        self._pool = pool
        self._spool = spool
        self._classes: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def fetch(
        self,
        context: RetrieveContext,
        identifier: Dataset,
        on_progress: Callable[[SubOperations], None],
        cancellation: Cancellation,
        *,
        headers: bool = False,
    ) -> Fetched:
        """Fetch what the identifier names, whole or as headers, and send it on to the store node.

        Raises:
            PeerError: there is no association with one of the two.
            InterruptedWorkError: a stop was requested.
            DatabaseAwayError: the database is away.
        """
        lend = self._pool.headers if headers else self._pool.get
        with lend(context.remote, self._classes_of(context), cancellation) as association:
            return association.fetch(
                identifier,
                context.store,
                self._pool.timeouts,
                on_progress,
                cancellation,
                open_file=self._spool.open,
            )

    def _classes_of(self, context: RetrieveContext) -> tuple[str, ...]:
        classes = self._classes.get(context.job_id)
        if classes is None:
            with self._database.read() as session:
                classes = kept_classes(session, context.query_id)
            self._classes[context.job_id] = classes
            while len(self._classes) > _REMEMBERED_JOBS:
                self._classes.popitem(last=False)
        return classes


class MoveScu:
    """Requests objects from one PACS."""

    def __init__(
        self,
        database: Database,
        pool: AssociationPool,
        report: Callable[[str], None],
        clock: Clock,
        spool: ObjectSpool,
    ) -> None:
        """`spool` holds objects of a C-GET until the store node has them."""
        self._database = database
        self._pool = pool
        self._get_scu = GetScu(database, pool, spool)
        self._report = report
        self._clock = clock

    def request(
        self, context: RetrieveContext, task_id: int, moves: Sequence[Move], cancellation: Cancellation
    ) -> MoveAttempts:
        """Send requests until all have a response, nothing comes any more, or none can succeed.

        Raises:
            PeerError: there is no association for the first of them.
            InterruptedWorkError: a stop was requested.
            DatabaseAwayError: the database is away.
        """
        result, began, silent, fruitless = MoveAttempts(), time.monotonic(), 0, 0
        for number, requested in enumerate(moves):
            late = time.monotonic() - began > TASK_BUDGET_S
            useless = silent >= MAX_SILENT_REQUESTS or fruitless >= MAX_FRUITLESS_REQUESTS
            if useless or (late and result.attempts):
                result.unsent = list(moves[number:])
                break
            try:
                response = self._send(context, task_id, requested, cancellation)
            except PeerError as error:
                if not result.attempts:
                    raise
                result.unsent, result.no_association = list(moves[number:]), error
                break
            result.attempts.append(Attempt(requested, response))
            silent += response.status_code is None
            fruitless = fruitless + 1 if response.is_fruitless else 0
            if response.status_code == DESTINATION_UNKNOWN:
                result.unsent = list(moves[number + 1 :])
                break
        return result

    def request_headers(
        self, context: RetrieveContext, task_id: int, moves: Sequence[Move], cancellation: Cancellation
    ) -> HeaderAttempts:
        """Request headers without bulk data until the node is found not to offer that, or falls silent.

        What does not come stays to be requested whole, which says why, if it fails too.

        Raises:
            NotNowError: the node's limits forbid it now.
            InterruptedWorkError: a stop was requested.
            DatabaseAwayError: the database is away.
        """
        result = HeaderAttempts()
        for requested in moves:
            try:
                response = self._send(context, task_id, requested, cancellation, headers=True)
            except NotNowError:
                raise
            except PeerError as error:
                result.note(None, error)
                break
            result.note(response, response.error)
            if response.status_code is None or result.offered is False:
                break
        return result

    def _send(
        self,
        context: RetrieveContext,
        task_id: int,
        requested: Move,
        cancellation: Cancellation,
        *,
        headers: bool = False,
    ) -> FinalResponse:
        by_uid = headers and context.remote.web is None
        identifier = move_identifier(
            requested.level,
            # Its model knows one level and one key (PS3.4 Z.4.2.1.3).
            [] if by_uid else requested.study_instance_uids,
            [] if by_uid else requested.series_instance_uids,
            requested.sop_instance_uids,
        )
        counters = _ReportedCounters(self._database, self._report, context.job_id)
        requested_at = self._clock()
        if context.fetch or headers:
            fetched = self._get_scu.fetch(context, identifier, counters.update, cancellation, headers=headers)
        else:
            with self._pool.move(context.remote, cancellation) as association:
                requested_at = self._clock()
                fetched = Fetched(
                    association.c_move(identifier, context.store.ae_title, counters.update, cancellation)
                )
        result = fetched.result
        response = _final_response(fetched)
        self._record(context.job_id, task_id, Attempt(requested, response), result, requested_at, counters)
        if isinstance(result.error, InterruptedWorkError):
            raise result.error
        return response

    def _record(
        self,
        job_id: str,
        task_id: int,
        attempt: Attempt,
        result: MoveResult,
        requested_at: datetime,
        counters: _ReportedCounters,
    ) -> None:
        requested, response = attempt.move, attempt.response
        keys = {
            "study_instance_uids": requested.study_instance_uids,
            "series_instance_uids": requested.series_instance_uids,
        }
        if requested.level == "IMAGE":
            keys["sop_instance_uids"] = requested.sop_instance_uids
        row = move_row(requested.level, keys, response, result.duration_ms, requested_at)
        with self._database.write() as session:
            save_move(session, job_id, task_id, row)
            add_counts(session, job_id, **counters.not_written(result.sub_operations))
        log.info(
            "move",
            job_id=job_id,
            task_id=task_id,
            level=requested.level,
            objects=requested.size,
            status_code=response.status_code,
            error=response.error.code if response.error else "",
            duration_ms=result.duration_ms,
        )


def _final_response(fetched: Fetched) -> FinalResponse:
    result = fetched.result
    counters = result.sub_operations
    return FinalResponse(
        status_code=result.status_code,
        completed=counters.completed,
        failed=counters.failed,
        warning=counters.warning,
        failed_sop_instance_uids=result.failed_sop_instance_uids,
        error=result.error if isinstance(result.error, PeerError) else None,
        stored=frozenset(fetched.stored),
        refusal=fetched.refusal,
    )


class _ReportedCounters:
    """Adds the PACS's counters for one request to those of the retrieve while it runs."""

    def __init__(self, database: Database, report: Callable[[str], None], job_id: str) -> None:
        self._database = database
        self._report = report
        self._job_id = job_id
        self._written = {"reported_completed": 0, "reported_warning": 0, "reported_failed": 0}
        self._next_at = time.monotonic() + PROGRESS_INTERVAL_S

    def update(self, counters: SubOperations) -> None:
        """Take the counters of a pending response."""
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + PROGRESS_INTERVAL_S
        deltas = self.not_written(counters)
        if not deltas:
            return
        try:
            with self._database.write() as session:
                add_counts(session, self._job_id, **deltas)
        except DatabaseAwayError as error:
            # These counts are for watching only; the request goes on.
            log.debug("progress not written", job_id=self._job_id, error=str(error))
            return
        self._report(self._job_id)

    def not_written(self, counters: SubOperations) -> dict[str, int]:
        """Return what has not been written yet; counters that the PACS leaves out stay as they were."""
        reported = {
            "reported_completed": counters.completed,
            "reported_warning": counters.warning,
            "reported_failed": counters.failed,
        }
        deltas = {}
        for name, number in reported.items():
            if number is not None and number > self._written[name]:
                deltas[name] = number - self._written[name]
                self._written[name] = number
        return deltas
