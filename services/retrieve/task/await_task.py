"""An await task: check again for what a PACS reported as sent; request it again once nothing comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from services.retrieve.context import RetrieveContext
from services.retrieve.ledger import outcomes
from services.retrieve.ledger.arrived import save_arrived
from services.retrieve.ledger.conditions import lock
from services.retrieve.ledger.expected import open_parts
from services.retrieve.planning.arrivals import Arrivals
from services.retrieve.planning.moves import SeriesPart
from services.retrieve.planning.payloads import AwaitOrder, await_order, move_tasks
from services.retrieve.transfer.arrival_check import ArrivalCheck, Evidence
from shared.clock import Clock
from shared.contract.reasons import Reason
from shared.database.session import Database, Session
from shared.dicom.cancellation import Cancellation
from shared.jobs.model import Claim, Result
from shared.jobs.new_task import NewTask


class AwaitTask:
    """Performs await tasks. They hold neither a worker nor an association while nothing comes."""

    def __init__(self, database: Database, check: ArrivalCheck, clock: Clock) -> None:
        self._database = database
        self._check = check
        self._clock = clock

    def perform(self, context: RetrieveContext, claim: Claim, cancellation: Cancellation) -> Result:
        """Check what has arrived of the objects of one task.

        Raises:
            InterruptedWorkError: a stop was requested.
            DatabaseAwayError: the database is away.
        """
        awaited = await_order(claim.payload)
        with self._database.read() as session:
            parts = open_parts(session, context.job_id, awaited.order)
        evidence = self._check.check(context, parts, cancellation)
        return Result(self._writer(context, awaited, parts, evidence))

    def _writer(
        self, context: RetrieveContext, awaited: AwaitOrder, parts: Sequence[SeriesPart], evidence: Evidence
    ) -> Callable[[Session], Sequence[NewTask]]:
        arrivals = evidence.arrivals

        def write(session: Session) -> Sequence[NewTask]:
            lock(session, context.job_id)
            complete = [part.key for part in parts if part.unlisted and arrivals.of(part) >= awaited.expected]
            save_arrived(session, context, arrivals, parts, complete, self._clock())
            if arrivals:
                outcomes.weaken_proof(session, context.job_id, evidence.proof)
            rest = [part for part in arrivals.missing_of(parts) if part.key not in complete]
            return self._next_tasks(session, context, awaited, rest, arrivals) if rest else []

        return write

    def _next_tasks(
        self,
        session: Session,
        context: RetrieveContext,
        awaited: AwaitOrder,
        rest: Sequence[SeriesPart],
        arrivals: Arrivals,
    ) -> Sequence[NewTask]:
        # Of an unlisted series, the receipts are all of the retrieve; of named objects, only new ones.
        here = arrivals.count(part for part in rest if part.unlisted)
        named = bool(arrivals.sop_instance_uids)
        waited_s = 0.0 if named or here > awaited.here else awaited.waited_s
        if waited_s < self._check.grace_s:
            return [replace(awaited, waited_s=waited_s, here=here).task(self._check.grace_s)]
        if awaited.loss is None:
            return move_tasks((part.by_objects() for part in rest), awaited.order)
        state, reason, detail = awaited.loss
        outcomes.save_lost(session, context.job_id, rest, state=state, reason=Reason(reason), detail=detail)
        return []
