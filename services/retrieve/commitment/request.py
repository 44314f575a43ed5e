"""Requests storage commitment from a store node and waits a little for its report (PS3.4 J.3)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

import structlog

from services.retrieve.commitment import ledger
from services.retrieve.context import RetrieveContext
from shared.clock import Clock
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, NotNowError, PeerError, StoreError
from shared.dicom.peer import Timeouts
from shared.dicom.storage_commitment.association import CommitmentAssociation, open_commitment_association
from shared.dicom.storage_commitment.messages import CommitmentResult, Reference, new_transaction_uid

log = structlog.get_logger(__name__)

#: Seconds that the association stays open for a report: most nodes that report on it do so immediately.
IN_PLACE_S = 5.0
#: The same where the node was found to report on an association of its own, or late.
IN_PLACE_LATER_S = 0.5
#: Seconds between two checks whether the report has come to our store meanwhile.
POLL_INTERVAL_S = 0.25


class CommitmentScu:
    """Sends requests, each under a transaction of its own that the ledger knows before it is sent."""

    def __init__(self, database: Database, timeouts: Timeouts, clock: Clock, *, wait_s: float) -> None:
        """Take `wait_s`: seconds that an association stays open for a report at most."""
        self._database = database
        self._timeouts = timeouts
        self._clock = clock
        self._in_place_s = min(IN_PLACE_S, wait_s)

    def request(
        self,
        context: RetrieveContext,
        task_id: int,
        references: Sequence[Reference],
        cancellation: Cancellation,
    ) -> tuple[str, CommitmentResult | None]:
        """Send one request and wait a little; return its transaction, and the report if it has come.

        Raises:
            PeerError: the node cannot be reached, or refused.
            NotNowError: the node's fuse has blown.
            InterruptedWorkError: a stop was requested.
            DatabaseAwayError: the database is away.
        """
        try:
            association = open_commitment_association(
                context.store, self._timeouts, cancellation=cancellation
            )
        except NotNowError:
            raise
        except PeerError as error:
            raise StoreError(error) from error
        transaction_uid = new_transaction_uid()
        try:
            in_place_s = self._in_place(context)
            self._send(association, context.job_id, task_id, transaction_uid, references, cancellation)
            report = self._wait_here(association, transaction_uid, in_place_s)
        except InterruptedWorkError:
            association.abort()
            raise
        finally:
            association.release()
        return transaction_uid, report

    def _send(
        self,
        association: CommitmentAssociation,
        job_id: str,
        task_id: int,
        transaction_uid: str,
        references: Sequence[Reference],
        cancellation: Cancellation,
    ) -> None:
        # Before it is sent: the report may come at once, and our store takes none that was not requested.
        with self._database.write() as session:
            ledger.save_requested(session, job_id, task_id, transaction_uid, len(references), self._clock())
        names = {"job_id": job_id, "task_id": task_id, "transaction_uid": transaction_uid}
        try:
            association.request(transaction_uid, references, cancellation)
        except PeerError as error:
            with self._database.write() as session:
                ledger.end(session, [transaction_uid], ledger.REFUSED, self._clock(), detail=str(error))
            log.warning("storage commitment not taken", **names, error=error.code)
            raise
        log.info("storage commitment requested", **names, objects=len(references))

    def _in_place(self, context: RetrieveContext) -> float:
        before = self._clock() - timedelta(seconds=IN_PLACE_S)
        with self._database.read() as session:
            elsewhere = ledger.reports_elsewhere(session, context.job_id, before)
        return min(self._in_place_s, IN_PLACE_LATER_S) if elsewhere else self._in_place_s

    def _wait_here(
        self, association: CommitmentAssociation, transaction_uid: str, in_place_s: float
    ) -> CommitmentResult | None:
        until = time.monotonic() + in_place_s
        while (left_s := until - time.monotonic()) > 0:
            try:
                report = association.report(min(POLL_INTERVAL_S, left_s))
            except PeerError:
                # It has ended the association: it reports on another.
                return self._received_report(transaction_uid)
            report = report or self._received_report(transaction_uid)
            if report is not None:
                return report
        return None

    def _received_report(self, transaction_uid: str) -> CommitmentResult | None:
        with self._database.read() as session:
            return ledger.report_on(session, [transaction_uid])
