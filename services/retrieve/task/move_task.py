"""A move task: ask for what is still to come, see what arrived, and say what follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from services.retrieve.commitment.payloads import order_after
from services.retrieve.commitment.unproven import evidence_to_commit, mark_nameless, word_of
from services.retrieve.context import Facts, Seen
from services.retrieve.ledger import outcomes
from services.retrieve.ledger.arrived import save_arrived
from services.retrieve.ledger.conditions import lock
from services.retrieve.ledger.expected import open_shares
from services.retrieve.planning.follow_up import (
    Conclusion,
    conclude,
    on_their_way,
    take_at_its_word,
    taken_of_us,
)
from services.retrieve.planning.moves import Share, plan_moves
from services.retrieve.planning.payloads import MoveOrder, move_order
from services.retrieve.planning.response_outcome import DESTINATION_UNKNOWN
from services.retrieve.transfer.arrival_check import Evidence, Verifier
from services.retrieve.transfer.c_move import Asked, Asker
from services.retrieve.transfer.node_capabilities import MannersOf
from shared.clock import Clock
from shared.contract.reasons import Reason, sentence
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.identifiers import AeTitle
from shared.jobs.model import Claim, Ending, NewTask, Result


@dataclass(frozen=True, slots=True)
class _Outcome:
    """All that a move task found out."""

    order: MoveOrder
    shares: Sequence[Share]
    asked: Asked
    evidence: Evidence
    conclusion: Conclusion


class Mover:
    """Performs move tasks."""

    def __init__(
        self, database: Database, asker: Asker, verifier: Verifier, manners_of: MannersOf, clock: Clock
    ) -> None:
        self._database = database
        self._asker = asker
        self._verifier = verifier
        self._manners_of = manners_of
        self._clock = clock

    def perform(self, facts: Facts, claim: Claim, cancellation: Cancellation) -> Result:
        """Bring the objects of one task.

        Raises:
            PeerError: nothing came of it, and the same may succeed later.
            InterruptedWorkError: stopping was asked for.
            DatabaseAwayError: the database is away.
        """
        order = move_order(claim.payload)
        with self._database.read() as session:
            shares = open_shares(session, facts.job_id, order)
        # A worker that died, or a PACS that queues, may have brought some of it already.
        here = self._verifier.look(facts, shares)
        asked = self._ask(facts, claim, order, _left(shares, here), cancellation)
        evidence = self._see(facts, asked, cancellation)
        evidence.seen.add(here)
        patient = not (facts.fetch or facts.commits)
        waited_s = self._verifier.patience_left(evidence.proof) if patient else None
        conclusion = conclude(order, asked, evidence.seen, waited_s)
        if conclusion.retry is not None:
            raise conclusion.retry
        outcome = _Outcome(order, shares, asked, evidence, conclusion)
        return Result(self._writer(facts, outcome), end_job=self._stop(facts, outcome))

    def _ask(
        self,
        facts: Facts,
        claim: Claim,
        order: MoveOrder,
        shares: Sequence[Share],
        cancellation: Cancellation,
    ) -> Asked:
        manners = self._manners_of(facts.remote_id).in_lists_of(order.longest)
        return self._asker.ask(facts, claim.task_id, plan_moves(shares, manners), cancellation)

    def _see(self, facts: Facts, asked: Asked, cancellation: Cancellation) -> Evidence:
        if not asked.attempts:
            return Evidence(Seen(), "receipts")
        shares = [share for one in asked.attempts for share in one.move.shares]
        if facts.commits:
            return evidence_to_commit(facts, asked.attempts, self._verifier.look(facts, shares))
        if facts.fetch:
            return Evidence(taken_of_us(asked.attempts), "receipts")
        evidence = self._verifier.verify(facts, shares, on_their_way(asked.attempts), cancellation)
        if evidence.proof == "reported":
            take_at_its_word(asked.attempts, evidence.seen)
        return evidence

    def _stop(self, facts: Facts, outcome: _Outcome) -> Ending | None:
        if outcome.conclusion.stop is None:
            return None
        with self._database.read() as session:
            arrived = bool(outcome.evidence.seen) or outcomes.counts_of(session, facts.job_id)["arrived"] > 0
        status = "incomplete" if arrived else "failed"
        return Ending(status, Reason.MOVE_DESTINATION_UNKNOWN.value, destination_unknown(facts))

    def _writer(self, facts: Facts, outcome: _Outcome) -> Callable[[Session], Sequence[NewTask]]:
        conclusion = outcome.conclusion

        def write(session: Session) -> Sequence[NewTask]:
            lock(session, facts.job_id)
            now = self._clock()
            asked = [share for one in outcome.asked.attempts for share in one.move.shares]
            outcomes.save_asked(session, facts.job_id, asked)
            seen = outcome.evidence.proven
            save_arrived(session, facts, seen, outcome.shares, conclusion.complete, now)
            if seen:
                outcomes.weaken_proof(session, facts.job_id, outcome.evidence.proof)
            if facts.commits:
                mark_nameless(session, facts, outcome.shares, seen)
            for loss in conclusion.losses:
                verdict = loss.verdict
                outcomes.save_lost(
                    session,
                    facts.job_id,
                    [loss.share],
                    state=verdict.state,
                    reason=verdict.reason,
                    detail=verdict.detail,
                )
            if conclusion.stop is None:
                grace_s = self._verifier.grace_s
                awaited = [one.task(grace_s) for one in conclusion.awaited]
                return [*conclusion.tasks, *awaited, *_to_commit(facts, outcome)]
            detail = conclusion.stop.detail
            outcomes.lose_the_rest(
                session, facts.job_id, state="failed", reason=conclusion.stop.reason, detail=detail
            )
            return []

        return write


def _left(shares: Sequence[Share], here: Seen) -> list[Share]:
    left = []
    for share in shares:
        if share.nameless:
            # Without names, what is here may be a part only; an announced number tells.
            if not share.announced or here.of(share) < share.announced:
                left.append(share)
        elif (rest := share.without(here.sop_instance_uids)) is not None:
            left.append(rest)
    return left


def _to_commit(facts: Facts, outcome: _Outcome) -> Sequence[NewTask]:
    unproven = outcome.evidence.unproven
    shares = [part for share in outcome.shares if (part := share.only(unproven)) is not None]
    return order_after(outcome.order, word_of(facts)).tasks(shares)


def destination_unknown(facts: Facts) -> str:
    """Return the sentence that the administrator of the PACS needs."""
    store, remote = facts.store, facts.remote
    told = sentence(
        Reason.MOVE_DESTINATION_UNKNOWN, ae_title=AeTitle(store.ae_title), host=store.host, port=store.port
    )
    at = f"The PACS is {remote.ae_title} at {remote.host}, port {remote.port}"
    return f"{told} {at}; it answered with status 0x{DESTINATION_UNKNOWN:04X}."
