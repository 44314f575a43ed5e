"""Commit tasks: the store node is asked to commit to what the PACS says it has sent (PS3.4 annex J).

The node reports on the same association, or later on one of its own to our store, which keeps the report in
the database. It is waited for there without a worker or an association in hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from services.retrieve.commitment import ledger
from services.retrieve.commitment.payloads import (
    AWAIT_COMMIT,
    CommitOrder,
    ReportOrder,
    commit_order,
    follow,
    report_order,
)
from services.retrieve.commitment.request import CommitAsker
from services.retrieve.context import Facts, Seen
from services.retrieve.ledger import outcomes
from services.retrieve.ledger.arrived import receipts, save_arrived
from services.retrieve.ledger.conditions import lock
from services.retrieve.ledger.expected import open_shares
from services.retrieve.planning.moves import Share
from shared.clock import Clock
from shared.contract.reasons import Reason
from shared.database.session import Database
from shared.dicom.association.establishment import Timeouts
from shared.dicom.association.storage_commitment import NO_SUCH_INSTANCE, CommitmentReport, reason_words
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import PeerError
from shared.jobs.model import Claim, NewTask, Result

NOT_NAMED = "its report does not name them"
NO_SOP_CLASS = "the PACS does not tell their SOP classes, without which none can be asked for"


@dataclass(frozen=True, slots=True)
class _Case:
    """The objects of one task that are still open."""

    facts: Facts
    claim: Claim
    commit: CommitOrder
    shares: Sequence[Share]
    #: Of which there is a receipt by now.
    received: Seen

    @property
    def left(self) -> list[Share]:
        """What is not proven by a receipt."""
        uids = self.received.sop_instance_uids
        return [left for share in self.shares if (left := share.without(uids)) is not None]


class Committer:
    """Performs commit tasks, and those that wait for a report."""

    def __init__(
        self, database: Database, timeouts: Timeouts, clock: Clock, *, timeout_s: float, grace_s: float
    ) -> None:
        """`timeout_s`: for the report; `grace_s`: in which what was sent may still be on its way."""
        self._database = database
        self._asker = CommitAsker(database, timeouts, clock, wait_s=timeout_s)
        self._clock = clock
        self._timeout_s = timeout_s
        self._grace_s = grace_s

    def perform(self, facts: Facts, claim: Claim, cancellation: Cancellation) -> Result:
        """Ask the node for the objects of one task, or look whether it has reported.

        Raises:
            PeerError: the node could not be asked, or refused.
            InterruptedWorkError: stopping was asked for.
            DatabaseAwayError: the database is away.
        """
        if claim.kind == AWAIT_COMMIT:
            return self._look(facts, claim)
        return self._ask(facts, claim, cancellation)

    def given_up(self, facts: Facts, claim: Claim, error: PeerError) -> Result:
        """Say what it means that the node cannot be asked: the word that there is stands."""
        order = _order_of(claim)

        def write(session: Session) -> Sequence[NewTask]:
            lock(session, facts.job_id)
            case = self._case(session, facts, claim, order)
            self._take_at_word(session, case, case.left, str(error))
            return []

        return Result(write, state="failed", error=error.code, detail=str(error))

    def _ask(self, facts: Facts, claim: Claim, cancellation: Cancellation) -> Result:
        with self._database.read() as session:
            case = self._case(session, facts, claim, commit_order(claim.payload))
            references = ledger.references_to(session, facts.job_id, case.left)
            # A worker that died may have asked.
            earlier = ledger.asked_by(session, claim.task_id)
            report = ledger.report_on(session, earlier)
        transactions = earlier
        if report is None and references:
            transaction_uid, report = self._asker.request(facts, claim.task_id, references, cancellation)
            transactions = [*earlier, transaction_uid]
        return self._result(case, report, transactions, 0.0)

    def _look(self, facts: Facts, claim: Claim) -> Result:
        awaited = report_order(claim.payload)
        with self._database.read() as session:
            case = self._case(session, facts, claim, awaited.commit)
            report = ledger.report_on(session, awaited.transaction_uids)
        return self._result(case, report, awaited.transaction_uids, awaited.waited_s)

    # What follows

    def _case(self, session: Session, facts: Facts, claim: Claim, commit: CommitOrder) -> _Case:
        shares = open_shares(session, facts.job_id, commit.order)
        return _Case(facts, claim, commit, shares, receipts(session, facts, shares))

    def _result(
        self,
        case: _Case,
        report: CommitmentReport | None,
        transaction_uids: Sequence[str],
        waited_s: float,
    ) -> Result:
        def write(session: Session) -> Sequence[NewTask]:
            lock(session, case.facts.job_id)
            self._save_received(session, case)
            if report is not None:
                return self._follow(session, case, report, transaction_uids)
            return self._go_on_waiting(session, case, transaction_uids, waited_s)

        waits = report is None and transaction_uids and waited_s < self._timeout_s
        note = f"{case.facts.store.ae_title} has not reported on a storage commitment yet"
        return Result(write, note=note if waits else "")

    def _save_received(self, session: Session, case: _Case) -> None:
        save_arrived(session, case.facts, case.received, case.shares, (), self._clock())
        if case.received:
            outcomes.weaken_proof(session, case.facts.job_id, "receipts")

    def _follow(
        self,
        session: Session,
        case: _Case,
        report: CommitmentReport,
        transaction_uids: Sequence[str],
    ) -> Sequence[NewTask]:
        following = follow(case.commit, case.left, report, self._grace_s)
        self._save_committed(session, case, following.committed, report.transaction_uid)
        for reason, shares in following.lost.items():
            self._lose(session, case, shares, reason, report.transaction_uid)
        others = [uid for uid in transaction_uids if uid != report.transaction_uid]
        now, failed = self._clock(), sum(share.size for share in case.left)
        failed -= len(following.committed) + sum(share.size for share in following.unsaid)
        ledger.end(
            session,
            [report.transaction_uid],
            ledger.ANSWERED,
            now,
            committed=len(following.committed),
            failed=failed,
        )
        ledger.end(session, others, ledger.UNANSWERED, now)
        unnamed = self._take_silent(session, case, following.unsaid)
        self._take_at_word(session, case, unnamed, NOT_NAMED)
        return following.tasks

    def _go_on_waiting(
        self, session: Session, case: _Case, transaction_uids: Sequence[str], waited_s: float
    ) -> Sequence[NewTask]:
        nameable = self._take_silent(session, case, case.left)
        if not nameable:
            ledger.end(session, transaction_uids, ledger.UNANSWERED, self._clock())
            return []
        if waited_s < self._timeout_s:
            commit = case.commit.of([share.by_objects() for share in nameable])
            return [ReportOrder(commit, tuple(transaction_uids), waited_s).task(self._timeout_s)]
        ledger.end(session, transaction_uids, ledger.UNANSWERED, self._clock())
        self._take_at_word(session, case, nameable, f"it did not report within {self._timeout_s:g} s")
        return []

    def _save_committed(self, session: Session, case: _Case, uids: set[str], transaction_uid: str) -> None:
        if not uids:
            return
        job_id = case.facts.job_id
        here = [part for share in case.left if (part := share.only(uids)) is not None]
        ledger.mark_committed(session, job_id, here, transaction_uid)
        save_arrived(session, case.facts, Seen(uids), here, (), self._clock())
        outcomes.weaken_proof(session, job_id, "commitment")

    def _lose(
        self, session: Session, case: _Case, shares: Sequence[Share], reason: int, transaction_uid: str
    ) -> None:
        detail = f"{case.facts.store.ae_title}: {reason_words(reason)} (transaction {transaction_uid})"
        state = "missing" if reason == NO_SUCH_INSTANCE else "failed"
        job_id = case.facts.job_id
        outcomes.save_lost(session, job_id, shares, state=state, reason=Reason.NOT_COMMITTED, detail=detail)

    def _take_silent(self, session: Session, case: _Case, shares: Sequence[Share]) -> list[Share]:
        """Take at the word that there is what the node cannot be asked for; return the rest."""
        references = ledger.references_to(session, case.facts.job_id, shares)
        askable = {one.sop_instance_uid for one in references}
        silent = [rest for share in shares if (rest := share.without(askable)) is not None]
        self._take_at_word(session, case, silent, NO_SOP_CLASS)
        return [part for share in shares if (part := share.only(askable)) is not None]

    def _take_at_word(self, session: Session, case: _Case, shares: Sequence[Share], detail: str) -> None:
        """Count these as arrived as far as anybody says so, and write why nobody proved it."""
        if not shares:
            return
        seen = Seen({uid for share in shares for uid in share.sop_instance_uids})
        save_arrived(session, case.facts, seen, shares, (), self._clock())
        ledger.mark_unproven(session, case.facts.job_id, shares, detail)
        outcomes.weaken_proof(session, case.facts.job_id, case.commit.word)


def _order_of(claim: Claim) -> CommitOrder:
    if claim.kind == AWAIT_COMMIT:
        return report_order(claim.payload).commit
    return commit_order(claim.payload)
