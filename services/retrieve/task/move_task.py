"""A move task: request what is still to come, check what arrived, and decide what follows."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from services.retrieve.commitment.payloads import order_after
from services.retrieve.commitment.unproven import evidence_to_commit, mark_unlisted, proof_without_commitment
from services.retrieve.context import RetrieveContext
from services.retrieve.ledger import outcomes
from services.retrieve.ledger.arrived import save_arrived
from services.retrieve.ledger.conditions import lock
from services.retrieve.ledger.expected import expect_unnamed, header_parts, open_parts
from services.retrieve.planning.arrivals import Arrivals, add_reported, stored_by_c_get
from services.retrieve.planning.attempts import DESTINATION_UNKNOWN, MoveAttempts
from services.retrieve.planning.c_move_outcome import Conclusion, conclude
from services.retrieve.planning.fruitless import single_object
from services.retrieve.planning.moves import SeriesPart, plan_moves
from services.retrieve.planning.payloads import MoveOrder, move_order
from services.retrieve.transfer.arrival_check import ArrivalCheck, Evidence
from services.retrieve.transfer.c_move import MoveScu
from services.retrieve.transfer.move_holds import MoveHolds
from services.retrieve.transfer.own_store import OwnStore
from shared.clock import Clock
from shared.contract.reasons import Reason, sentence
from shared.database.models.store import HEADERS
from shared.database.session import Database, Session
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import StoreError
from shared.identifiers import AeTitle
from shared.jobs.model import Claim, Ending, Result
from shared.jobs.new_task import NewTask
from shared.node_profiles.ledger import change_profile
from shared.process.periodic import Repeating

#: Seconds between two polls for receipts while requests are under way.
RECEIPT_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class _MoveOutcome:
    """All that a move task found out."""

    order: MoveOrder
    parts: Sequence[SeriesPart]
    attempts: MoveAttempts
    evidence: Evidence
    conclusion: Conclusion


class MoveTask:
    """Performs move tasks."""

    def __init__(
        self,
        database: Database,
        scu: MoveScu,
        check: ArrivalCheck,
        report: Callable[[str], None],
        own_store: OwnStore,
        holds: MoveHolds,
        clock: Clock,
    ) -> None:
        """`report` is called with a job's id when its counts have changed."""
        self._database = database
        self._scu = scu
        self._check = check
        self._report = report
        self._own_store = own_store
        self._holds = holds
        self._clock = clock

    def perform(self, context: RetrieveContext, claim: Claim, cancellation: Cancellation) -> Result:
        """Bring the objects of one task.

        Raises:
            PeerError: nothing arrived, and the same may succeed later.
            NotNowError: our store or its importer has to catch up first, nothing comes for the moment, or the
                node's limits forbid it now.
            InterruptedWorkError: a stop was requested.
            DatabaseAwayError: the database is away.
        """
        order = move_order(claim.payload)
        with self._database.read() as session:
            parts = open_parts(session, context.job_id, order)
        # A worker that died, or a PACS that queues, may have brought some of it already.
        earlier = self._check.receipts(context, parts)
        attempts, evidence = MoveAttempts(), Evidence(Arrivals(), "receipts")
        if _still_to_come(parts, earlier):
            with self._holds.turn(context, cancellation) as is_single:
                attempts = self._request(
                    context, claim.task_id, order, parts, earlier, cancellation, is_single
                )
                evidence = self._evidence(context, attempts, cancellation)
                self._holds.check(context, attempts, evidence.arrivals, cancellation, is_single=is_single)
        evidence.arrivals.add(earlier)
        waits = not (context.fetch or context.commits)
        waited_s = self._check.waited_in_place_s(evidence.proof) if waits else None
        conclusion = conclude(order, attempts, evidence.arrivals, waited_s)
        if conclusion.retry is not None:
            raise self._holds.retry(context, conclusion.retry, cancellation)
        outcome = _MoveOutcome(order, parts, attempts, evidence, conclusion)
        return Result(self._writer(context, outcome), end_job=self._end_job(context, outcome))

    def _request(
        self,
        context: RetrieveContext,
        task_id: int,
        order: MoveOrder,
        parts: Sequence[SeriesPart],
        earlier: Arrivals,
        cancellation: Cancellation,
        is_single: bool,
    ) -> MoveAttempts:
        """Request what is still to come, or a single object of it; headers that came stand in `earlier`."""
        offers_headers = context.content == HEADERS and context.offers_headers is not False
        if order.round == 1 and offers_headers and not is_single:
            earlier.add(self._headers(context, task_id, earlier.missing_of(parts), cancellation))
        capabilities = context.capabilities.in_lists_of(order.longest)
        wanted, left = _still_to_come(parts, earlier), list[SeriesPart]()
        if is_single:
            single, left = single_object(wanted, random.random())  # noqa: S311 - guards nothing
            wanted = [single]
        receipts = _LiveReceipts(self._database, self._check, self._report, self._clock, context, parts)
        with receipts.counted():
            try:
                attempts = self._scu.request(context, task_id, plan_moves(wanted, capabilities), cancellation)
            except StoreError as error:
                raise self._holds.retry(context, error, cancellation) from error
        attempts.unsent += plan_moves(left, capabilities)
        return attempts

    def _headers(
        self,
        context: RetrieveContext,
        task_id: int,
        parts: Sequence[SeriesPart],
        cancellation: Cancellation,
    ) -> Arrivals:
        """Return what came without bulk data, as far as the node offers that."""
        with self._database.read() as session:
            wanted = header_parts(session, context.job_id, parts)
        if not wanted:
            return Arrivals()
        across = context.remote.web is None
        moves = plan_moves(wanted, replace(context.capabilities, across_studies=across))
        attempts = self._scu.request_headers(context, task_id, moves, cancellation)
        if attempts.offered is not None and attempts.offered is not context.offers_headers:
            with self._database.write() as session:
                learned = partial(replace, headers=attempts.offered)
                change_profile(session, context.remote_id, context.remote, learned, self._clock())
        return Arrivals(attempts.stored)

    def _evidence(
        self, context: RetrieveContext, attempts: MoveAttempts, cancellation: Cancellation
    ) -> Evidence:
        if not attempts.attempts:
            return Evidence(Arrivals(), "receipts")
        if context.commits:
            received = self._check.receipts(context, attempts.parts)
            return evidence_to_commit(context, attempts.attempts, received)
        if context.fetch:
            return Evidence(stored_by_c_get(attempts.attempts), "receipts")
        evidence = self._check.wait(context, attempts.parts, attempts.may_come, cancellation)
        if evidence.proof == "reported":
            add_reported(attempts.attempts, evidence.arrivals)
        return evidence

    def _end_job(self, context: RetrieveContext, outcome: _MoveOutcome) -> Ending | None:
        if outcome.conclusion.stop is None:
            return None
        with self._database.read() as session:
            arrived = (
                bool(outcome.evidence.arrivals) or outcomes.counts_of(session, context.job_id)["arrived"] > 0
            )
        status = "incomplete" if arrived else "failed"
        return Ending(status, Reason.MOVE_DESTINATION_UNKNOWN.value, destination_unknown(context))

    def _writer(
        self, context: RetrieveContext, outcome: _MoveOutcome
    ) -> Callable[[Session], Sequence[NewTask]]:
        conclusion = outcome.conclusion

        def write(session: Session) -> Sequence[NewTask]:
            lock(session, context.job_id)
            outcomes.save_requested(session, context.job_id, outcome.attempts.parts)
            arrivals = outcome.evidence.proven
            for key, size in conclusion.reported.items():
                expect_unnamed(session, context, key, size)
            save_arrived(session, context, arrivals, outcome.parts, conclusion.complete, self._clock())
            for key, size in conclusion.larger.items():
                expect_unnamed(session, context, key, size)
            unclear = outcome.evidence.proof == "reported" and outcome.attempts.may_come > 0
            if arrivals or unclear:
                outcomes.weaken_proof(session, context.job_id, outcome.evidence.proof)
            if context.commits:
                mark_unlisted(session, context, outcome.parts, arrivals)
            for loss in conclusion.losses:
                lost = loss.outcome
                reason, detail = self._own_store.cause_of(context, lost.reason, lost.detail)
                outcomes.save_lost(
                    session, context.job_id, [loss.part], state=lost.state, reason=reason, detail=detail
                )
            if conclusion.stop is None:
                awaited = [later.task(self._check.grace_s) for later in conclusion.awaited]
                return [*conclusion.tasks, *awaited, *_to_commit(context, outcome)]
            outcomes.lose_the_rest(
                session,
                context.job_id,
                state="failed",
                reason=conclusion.stop.reason,
                detail=conclusion.stop.detail,
            )
            return []

        return write


class _LiveReceipts:
    """Writes what the store receives while the requests of a task are under way, so that progress shows."""

    def __init__(
        self,
        database: Database,
        check: ArrivalCheck,
        report: Callable[[str], None],
        clock: Clock,
        context: RetrieveContext,
        parts: Sequence[SeriesPart],
    ) -> None:
        self._database = database
        self._check = check
        self._report = report
        self._clock = clock
        self._context = context
        self._parts = parts
        self._written = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Write them once a second for the length of the block."""
        repeating = Repeating("receipts", RECEIPT_INTERVAL_S, self._write)
        repeating.start()
        try:
            yield
        finally:
            repeating.stop()

    def _write(self) -> None:
        context, parts = self._context, self._parts
        arrivals = self._check.receipts(context, parts)
        received = arrivals.count(parts)
        if received <= self._written:
            return
        with self._database.write() as session:
            lock(session, context.job_id)
            if outcomes.has_ended(session, context.job_id):
                return
            save_arrived(session, context, arrivals, parts, (), self._clock())
            outcomes.weaken_proof(session, context.job_id, "receipts")
        self._written = received
        self._report(context.job_id)


def _still_to_come(parts: Sequence[SeriesPart], earlier: Arrivals) -> list[SeriesPart]:
    """Return what has not arrived; only an announced count shows that an unlisted series is all there."""
    return [
        part
        for part in earlier.missing_of(parts)
        if not (part.unlisted and part.announced and earlier.of(part) >= part.announced)
    ]


def _to_commit(context: RetrieveContext, outcome: _MoveOutcome) -> Sequence[NewTask]:
    unproven = outcome.evidence.unproven
    parts = [found for part in outcome.parts if (found := part.only(unproven)) is not None]
    return order_after(outcome.order, proof_without_commitment(context)).tasks(parts)


def destination_unknown(context: RetrieveContext) -> str:
    """Return the sentence that the administrator of the PACS needs."""
    store, remote = context.store, context.remote
    advice = sentence(
        Reason.MOVE_DESTINATION_UNKNOWN, ae_title=AeTitle(store.ae_title), host=store.host, port=store.port
    )
    pacs = f"The PACS is {remote.ae_title} at {remote.host}, port {remote.port}"
    return f"{advice} {pacs}; it responded with status 0x{DESTINATION_UNKNOWN:04X}."
