"""A move task: ask for what is still to come, see what arrived, and say what follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from services.retrieve.commitment.payloads import order_after
from services.retrieve.commitment.unproven import evidence_to_commit, mark_unlisted, proof_without_commitment
from services.retrieve.context import Arrivals, RetrieveContext
from services.retrieve.ledger import outcomes
from services.retrieve.ledger.arrived import save_arrived
from services.retrieve.ledger.conditions import lock
from services.retrieve.ledger.expected import open_parts
from services.retrieve.planning.follow_up import (
    Conclusion,
    conclude,
    on_their_way,
    take_at_its_word,
    taken_of_us,
)
from services.retrieve.planning.moves import SeriesPart, plan_moves
from services.retrieve.planning.payloads import MoveOrder, move_order
from services.retrieve.planning.response_outcome import DESTINATION_UNKNOWN
from services.retrieve.transfer.arrival_check import ArrivalCheck, Evidence
from services.retrieve.transfer.c_move import MoveAttempts, MoveScu
from services.retrieve.transfer.node_capabilities import CapabilitiesOf
from shared.clock import Clock
from shared.contract.reasons import Reason, sentence
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.identifiers import AeTitle
from shared.jobs.model import Claim, Ending, Result
from shared.jobs.new_task import NewTask


@dataclass(frozen=True, slots=True)
class _Outcome:
    """All that a move task found out."""

    order: MoveOrder
    parts: Sequence[SeriesPart]
    asked: MoveAttempts
    evidence: Evidence
    conclusion: Conclusion


class MoveTask:
    """Performs move tasks."""

    def __init__(
        self,
        database: Database,
        scu: MoveScu,
        verifier: ArrivalCheck,
        capabilities_of: CapabilitiesOf,
        clock: Clock,
    ) -> None:
        self._database = database
        self._scu = scu
        self._verifier = verifier
        self._capabilities_of = capabilities_of
        self._clock = clock

    def perform(self, context: RetrieveContext, claim: Claim, cancellation: Cancellation) -> Result:
        """Bring the objects of one task.

        Raises:
            PeerError: nothing came of it, and the same may succeed later.
            InterruptedWorkError: stopping was asked for.
            DatabaseAwayError: the database is away.
        """
        order = move_order(claim.payload)
        with self._database.read() as session:
            parts = open_parts(session, context.job_id, order)
        # A worker that died, or a PACS that queues, may have brought some of it already.
        here = self._verifier.look(context, parts)
        asked = self._ask(context, claim, order, _left(parts, here), cancellation)
        evidence = self._see(context, asked, cancellation)
        evidence.arrivals.add(here)
        patient = not (context.fetch or context.commits)
        waited_s = self._verifier.patience_left(evidence.proof) if patient else None
        conclusion = conclude(order, asked, evidence.arrivals, waited_s)
        if conclusion.retry is not None:
            raise conclusion.retry
        outcome = _Outcome(order, parts, asked, evidence, conclusion)
        return Result(self._writer(context, outcome), end_job=self._stop(context, outcome))

    def _ask(
        self,
        context: RetrieveContext,
        claim: Claim,
        order: MoveOrder,
        parts: Sequence[SeriesPart],
        cancellation: Cancellation,
    ) -> MoveAttempts:
        capabilities = self._capabilities_of(context.remote_id).in_lists_of(order.longest)
        return self._scu.ask(context, claim.task_id, plan_moves(parts, capabilities), cancellation)

    def _see(self, context: RetrieveContext, asked: MoveAttempts, cancellation: Cancellation) -> Evidence:
        if not asked.attempts:
            return Evidence(Arrivals(), "receipts")
        parts = [part for attempt in asked.attempts for part in attempt.move.parts]
        if context.commits:
            return evidence_to_commit(context, asked.attempts, self._verifier.look(context, parts))
        if context.fetch:
            return Evidence(taken_of_us(asked.attempts), "receipts")
        evidence = self._verifier.verify(context, parts, on_their_way(asked.attempts), cancellation)
        if evidence.proof == "reported":
            take_at_its_word(asked.attempts, evidence.arrivals)
        return evidence

    def _stop(self, context: RetrieveContext, outcome: _Outcome) -> Ending | None:
        if outcome.conclusion.stop is None:
            return None
        with self._database.read() as session:
            arrived = (
                bool(outcome.evidence.arrivals) or outcomes.counts_of(session, context.job_id)["arrived"] > 0
            )
        status = "incomplete" if arrived else "failed"
        return Ending(status, Reason.MOVE_DESTINATION_UNKNOWN.value, destination_unknown(context))

    def _writer(self, context: RetrieveContext, outcome: _Outcome) -> Callable[[Session], Sequence[NewTask]]:
        conclusion = outcome.conclusion

        def write(session: Session) -> Sequence[NewTask]:
            lock(session, context.job_id)
            now = self._clock()
            asked = [part for attempt in outcome.asked.attempts for part in attempt.move.parts]
            outcomes.save_asked(session, context.job_id, asked)
            arrivals = outcome.evidence.proven
            save_arrived(session, context, arrivals, outcome.parts, conclusion.complete, now)
            if arrivals:
                outcomes.weaken_proof(session, context.job_id, outcome.evidence.proof)
            if context.commits:
                mark_unlisted(session, context, outcome.parts, arrivals)
            for loss in conclusion.losses:
                verdict = loss.verdict
                outcomes.save_lost(
                    session,
                    context.job_id,
                    [loss.part],
                    state=verdict.state,
                    reason=verdict.reason,
                    detail=verdict.detail,
                )
            if conclusion.stop is None:
                grace_s = self._verifier.grace_s
                awaited = [one.task(grace_s) for one in conclusion.awaited]
                return [*conclusion.tasks, *awaited, *_to_commit(context, outcome)]
            detail = conclusion.stop.detail
            outcomes.lose_the_rest(
                session, context.job_id, state="failed", reason=conclusion.stop.reason, detail=detail
            )
            return []

        return write


def _left(parts: Sequence[SeriesPart], here: Arrivals) -> list[SeriesPart]:
    left = []
    for part in parts:
        if part.unlisted:
            # Without names, what is here may be a part only; an announced number tells.
            if not part.announced or here.of(part) < part.announced:
                left.append(part)
        elif (rest := part.without(here.sop_instance_uids)) is not None:
            left.append(rest)
    return left


def _to_commit(context: RetrieveContext, outcome: _Outcome) -> Sequence[NewTask]:
    unproven = outcome.evidence.unproven
    parts = [found for part in outcome.parts if (found := part.only(unproven)) is not None]
    return order_after(outcome.order, proof_without_commitment(context)).tasks(parts)


def destination_unknown(context: RetrieveContext) -> str:
    """Return the sentence that the administrator of the PACS needs."""
    store, remote = context.store, context.remote
    told = sentence(
        Reason.MOVE_DESTINATION_UNKNOWN, ae_title=AeTitle(store.ae_title), host=store.host, port=store.port
    )
    at = f"The PACS is {remote.ae_title} at {remote.host}, port {remote.port}"
    return f"{told} {at}; it answered with status 0x{DESTINATION_UNKNOWN:04X}."
