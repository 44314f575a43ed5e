"""An await task: look again for what a PACS said it has sent, and ask again once nothing came for long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from services.retrieve.context import Arrivals, RetrieveContext
from services.retrieve.ledger import outcomes
from services.retrieve.ledger.arrived import save_arrived
from services.retrieve.ledger.conditions import lock
from services.retrieve.ledger.expected import open_parts
from services.retrieve.planning.moves import SeriesPart
from services.retrieve.planning.payloads import AwaitOrder, await_order, move_tasks
from services.retrieve.transfer.arrival_check import ArrivalCheck, Evidence
from shared.clock import Clock
from shared.contract.reasons import Reason
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.jobs.model import Claim, Result
from shared.jobs.new_task import NewTask


class AwaitTask:
    """Performs await tasks. They hold neither a worker nor an association while nothing comes."""

    def __init__(self, database: Database, verifier: ArrivalCheck, clock: Clock) -> None:
        self._database = database
        self._verifier = verifier
        self._clock = clock

    def perform(self, context: RetrieveContext, claim: Claim, cancellation: Cancellation) -> Result:
        """Look for the objects of one task.

        Raises:
            InterruptedWorkError: stopping was asked for.
            DatabaseAwayError: the database is away.
        """
        awaited = await_order(claim.payload)
        with self._database.read() as session:
            parts = open_parts(session, context.job_id, awaited.order)
        evidence = self._verifier.look_once(context, parts, cancellation)
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
            rest = [part for part in _rest(parts, arrivals) if part.key not in complete]
            return self._follows(session, context, awaited, rest, arrivals) if rest else []

        return write

    def _follows(
        self,
        session: Session,
        context: RetrieveContext,
        awaited: AwaitOrder,
        rest: Sequence[SeriesPart],
        arrivals: Arrivals,
    ) -> Sequence[NewTask]:
        waited_s = 0.0 if arrivals else awaited.waited_s
        if waited_s < self._verifier.grace_s:
            return [replace(awaited, waited_s=waited_s).task(self._verifier.grace_s)]
        if awaited.loss is None:
            return move_tasks((part.by_objects() for part in rest), awaited.order)
        state, reason, detail = awaited.loss
        outcomes.save_lost(session, context.job_id, rest, state=state, reason=Reason(reason), detail=detail)
        return []


def _rest(parts: Sequence[SeriesPart], arrivals: Arrivals) -> list[SeriesPart]:
    return [
        left
        for part in parts
        if (left := part if part.unlisted else part.without(arrivals.sop_instance_uids)) is not None
    ]
