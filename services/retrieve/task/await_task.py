"""An await task: look again for what a PACS said it has sent, and ask again once nothing came for long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from services.retrieve.context import Facts, Seen
from services.retrieve.ledger import outcomes
from services.retrieve.ledger.arrived import save_arrived
from services.retrieve.ledger.conditions import lock
from services.retrieve.ledger.expected import open_shares
from services.retrieve.planning.moves import Share
from services.retrieve.planning.payloads import AwaitOrder, await_order, move_tasks
from services.retrieve.transfer.arrival_check import Evidence, Verifier
from shared.clock import Clock
from shared.contract.reasons import Reason
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.jobs.model import Claim, NewTask, Result


class Waiter:
    """Performs await tasks. They hold neither a worker nor an association while nothing comes."""

    def __init__(self, database: Database, verifier: Verifier, clock: Clock) -> None:
        self._database = database
        self._verifier = verifier
        self._clock = clock

    def perform(self, facts: Facts, claim: Claim, cancellation: Cancellation) -> Result:
        """Look for the objects of one task.

        Raises:
            InterruptedWorkError: stopping was asked for.
            DatabaseAwayError: the database is away.
        """
        awaited = await_order(claim.payload)
        with self._database.read() as session:
            shares = open_shares(session, facts.job_id, awaited.order)
        evidence = self._verifier.look_once(facts, shares, cancellation)
        return Result(self._writer(facts, awaited, shares, evidence))

    def _writer(
        self, facts: Facts, awaited: AwaitOrder, shares: Sequence[Share], evidence: Evidence
    ) -> Callable[[Session], Sequence[NewTask]]:
        seen = evidence.seen

        def write(session: Session) -> Sequence[NewTask]:
            lock(session, facts.job_id)
            complete = [one.key for one in shares if one.nameless and seen.of(one) >= awaited.expected]
            save_arrived(session, facts, seen, shares, complete, self._clock())
            if seen:
                outcomes.weaken_proof(session, facts.job_id, evidence.proof)
            rest = [share for share in _rest(shares, seen) if share.key not in complete]
            return self._follows(session, facts, awaited, rest, seen) if rest else []

        return write

    def _follows(
        self, session: Session, facts: Facts, awaited: AwaitOrder, rest: Sequence[Share], seen: Seen
    ) -> Sequence[NewTask]:
        waited_s = 0.0 if seen else awaited.waited_s
        if waited_s < self._verifier.grace_s:
            return [replace(awaited, waited_s=waited_s).task(self._verifier.grace_s)]
        if awaited.loss is None:
            return move_tasks((share.by_objects() for share in rest), awaited.order)
        state, reason, detail = awaited.loss
        outcomes.save_lost(session, facts.job_id, rest, state=state, reason=Reason(reason), detail=detail)
        return []


def _rest(shares: Sequence[Share], seen: Seen) -> list[Share]:
    return [
        left
        for share in shares
        if (left := share if share.nameless else share.without(seen.sop_instance_uids)) is not None
    ]
