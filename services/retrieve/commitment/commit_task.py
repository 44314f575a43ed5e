"""Commit tasks: storage commitment of what the PACS reports as sent (PS3.4 annex J).

The node reports on the same association, or later on one of its own to our store, which keeps the report in
the database. The job waits for it there without holding a worker or an association.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.retrieve.commitment import ledger
from services.retrieve.commitment.payloads import (
    AWAIT_COMMIT,
    CommitOrder,
    ReportOrder,
    commit_order,
    outcome_of_report,
    report_order,
)
from services.retrieve.commitment.request import CommitmentScu
from services.retrieve.context import RetrieveContext
from services.retrieve.ledger import outcomes
from services.retrieve.ledger.arrived import receipts, save_arrived
from services.retrieve.ledger.conditions import lock
from services.retrieve.ledger.expected import open_parts
from services.retrieve.planning.arrivals import Arrivals
from services.retrieve.planning.moves import SeriesPart
from shared.clock import Clock
from shared.contract.reasons import Reason
from shared.database.session import Database, Session
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import PeerError
from shared.dicom.peer import Timeouts
from shared.dicom.storage_commitment.messages import NO_SUCH_INSTANCE, CommitmentResult, reason_text
from shared.jobs.model import Claim, Result
from shared.jobs.new_task import NewTask

NOT_NAMED = "its report does not name them"
NO_SOP_CLASS = "the PACS does not return their SOP classes, without which none can be requested"


@dataclass(frozen=True, slots=True)
class _OpenObjects:
    """The objects of one task that are still open."""

    context: RetrieveContext
    claim: Claim
    commit: CommitOrder
    parts: Sequence[SeriesPart]
    #: Those with a receipt by now.
    received: Arrivals

    @property
    def left(self) -> list[SeriesPart]:
        """What is not proven by a receipt."""
        uids = self.received.sop_instance_uids
        return [left for part in self.parts if (left := part.without(uids)) is not None]


class CommitTask:
    """Performs commit tasks, and those that wait for a report."""

    def __init__(
        self, database: Database, timeouts: Timeouts, clock: Clock, *, timeout_s: float, grace_s: float
    ) -> None:
        """`timeout_s`: for the report; `grace_s`: in which what was sent may still be on its way."""
        self._database = database
        self._scu = CommitmentScu(database, timeouts, clock, wait_s=timeout_s)
        self._clock = clock
        self._timeout_s = timeout_s
        self._grace_s = grace_s

    def perform(self, context: RetrieveContext, claim: Claim, cancellation: Cancellation) -> Result:
        """Request commitment to the objects of one task, or check whether the node has reported.

        Raises:
            PeerError: the node cannot be reached, or refused.
            InterruptedWorkError: a stop was requested.
            DatabaseAwayError: the database is away.
        """
        if claim.kind == AWAIT_COMMIT:
            return self._check_report(context, claim)
        return self._request(context, claim, cancellation)

    def given_up(self, context: RetrieveContext, claim: Claim, error: PeerError) -> Result:
        """Return what follows if the node cannot be reached: what was reported without it stands."""
        order = _order_of(claim)

        def write(session: Session) -> Sequence[NewTask]:
            lock(session, context.job_id)
            case = self._case(session, context, claim, order)
            self._save_unproven(session, case, case.left, str(error))
            return []

        return Result(write, state="failed", error=error.code, detail=str(error))

    def _request(self, context: RetrieveContext, claim: Claim, cancellation: Cancellation) -> Result:
        with self._database.read() as session:
            case = self._case(session, context, claim, commit_order(claim.payload))
            references = ledger.references_to(session, context.job_id, case.left)
            # A worker that died may have sent a request.
            earlier = ledger.transactions_of(session, claim.task_id)
            report = ledger.report_on(session, earlier)
        transactions = earlier
        if report is None and references:
            transaction_uid, report = self._scu.request(context, claim.task_id, references, cancellation)
            transactions = [*earlier, transaction_uid]
        return self._result(case, report, transactions, 0.0)

    def _check_report(self, context: RetrieveContext, claim: Claim) -> Result:
        awaited = report_order(claim.payload)
        with self._database.read() as session:
            case = self._case(session, context, claim, awaited.commit)
            report = ledger.report_on(session, awaited.transaction_uids)
        return self._result(case, report, awaited.transaction_uids, awaited.waited_s)

    def _case(
        self, session: Session, context: RetrieveContext, claim: Claim, commit: CommitOrder
    ) -> _OpenObjects:
        parts = open_parts(session, context.job_id, commit.order)
        return _OpenObjects(context, claim, commit, parts, receipts(session, context, parts))

    def _result(
        self,
        case: _OpenObjects,
        report: CommitmentResult | None,
        transaction_uids: Sequence[str],
        waited_s: float,
    ) -> Result:
        def write(session: Session) -> Sequence[NewTask]:
            lock(session, case.context.job_id)
            self._save_received(session, case)
            if report is not None:
                return self._save_report(session, case, report, transaction_uids)
            return self._keep_waiting(session, case, transaction_uids, waited_s)

        waits = report is None and transaction_uids and waited_s < self._timeout_s
        note = f"{case.context.store.ae_title} has not reported on a storage commitment yet"
        return Result(write, note=note if waits else "")

    def _save_received(self, session: Session, case: _OpenObjects) -> None:
        save_arrived(session, case.context, case.received, case.parts, (), self._clock())
        if case.received:
            outcomes.weaken_proof(session, case.context.job_id, "receipts")

    def _save_report(
        self,
        session: Session,
        case: _OpenObjects,
        report: CommitmentResult,
        transaction_uids: Sequence[str],
    ) -> Sequence[NewTask]:
        outcome = outcome_of_report(case.commit, case.left, report, self._grace_s)
        self._save_committed(session, case, outcome.committed, report.transaction_uid)
        for reason, parts in outcome.lost.items():
            self._lose(session, case, parts, reason, report.transaction_uid)
        others = [uid for uid in transaction_uids if uid != report.transaction_uid]
        now, failed = self._clock(), sum(part.size for part in case.left)
        failed -= len(outcome.committed) + sum(part.size for part in outcome.unnamed)
        ledger.end(
            session,
            [report.transaction_uid],
            ledger.REPORTED,
            now,
            committed=len(outcome.committed),
            failed=failed,
        )
        ledger.end(session, others, ledger.NOT_REPORTED, now)
        requestable = self._save_unrequestable(session, case, outcome.unnamed)
        self._save_unproven(session, case, requestable, NOT_NAMED)
        return outcome.tasks

    def _keep_waiting(
        self, session: Session, case: _OpenObjects, transaction_uids: Sequence[str], waited_s: float
    ) -> Sequence[NewTask]:
        requestable = self._save_unrequestable(session, case, case.left)
        if not requestable:
            ledger.end(session, transaction_uids, ledger.NOT_REPORTED, self._clock())
            return []
        if waited_s < self._timeout_s:
            commit = case.commit.of([part.by_objects() for part in requestable])
            return [ReportOrder(commit, tuple(transaction_uids), waited_s).task(self._timeout_s)]
        ledger.end(session, transaction_uids, ledger.NOT_REPORTED, self._clock())
        self._save_unproven(session, case, requestable, f"it did not report within {self._timeout_s:g} s")
        return []

    def _save_committed(
        self, session: Session, case: _OpenObjects, uids: set[str], transaction_uid: str
    ) -> None:
        if not uids:
            return
        job_id = case.context.job_id
        here = [found for part in case.left if (found := part.only(uids)) is not None]
        ledger.mark_committed(session, job_id, here, transaction_uid)
        save_arrived(session, case.context, Arrivals(uids), here, (), self._clock())
        outcomes.weaken_proof(session, job_id, "commitment")

    def _lose(
        self,
        session: Session,
        case: _OpenObjects,
        parts: Sequence[SeriesPart],
        reason: int,
        transaction_uid: str,
    ) -> None:
        detail = f"{case.context.store.ae_title}: {reason_text(reason)} (transaction {transaction_uid})"
        state = "missing" if reason == NO_SUCH_INSTANCE else "failed"
        job_id = case.context.job_id
        outcomes.save_lost(session, job_id, parts, state=state, reason=Reason.NOT_COMMITTED, detail=detail)

    def _save_unrequestable(
        self, session: Session, case: _OpenObjects, parts: Sequence[SeriesPart]
    ) -> list[SeriesPart]:
        """Save as unproven what cannot be named in a request (PS3.4 J.3.2.1.1); return the rest."""
        references = ledger.references_to(session, case.context.job_id, parts)
        with_class = {reference.sop_instance_uid for reference in references}
        unrequestable = [rest for part in parts if (rest := part.without(with_class)) is not None]
        self._save_unproven(session, case, unrequestable, NO_SOP_CLASS)
        return [found for part in parts if (found := part.only(with_class)) is not None]

    def _save_unproven(
        self, session: Session, case: _OpenObjects, parts: Sequence[SeriesPart], detail: str
    ) -> None:
        """Count these as arrived, as reported without the node's commitment, and write why it is unproven."""
        if not parts:
            return
        arrivals = Arrivals({uid for part in parts for uid in part.sop_instance_uids})
        save_arrived(session, case.context, arrivals, parts, (), self._clock())
        ledger.mark_unproven(session, case.context.job_id, parts, detail)
        outcomes.weaken_proof(session, case.context.job_id, case.commit.proof)


def _order_of(claim: Claim) -> CommitOrder:
    if claim.kind == AWAIT_COMMIT:
        return report_order(claim.payload).commit
    return commit_order(claim.payload)
