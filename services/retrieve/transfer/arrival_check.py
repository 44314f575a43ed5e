"""Checks what arrived: by receipts, else by C-FIND on the store node, else as the PACS reports it."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from services.retrieve.context import RetrieveContext
from services.retrieve.ledger.arrived import receipts
from services.retrieve.planning.arrivals import Arrivals
from services.retrieve.planning.moves import SeriesPart
from services.retrieve.transfer.find_objects import find_objects
from shared.backoff import Backoff
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, PeerError
from shared.node_access.pool import AssociationPool

log = structlog.get_logger(__name__)

#: Seconds since the last arrival for which a task itself waits for what a PACS reports as sent; the rest of
#: the grace period is waited for without a worker.
IN_PLACE_S = 1.0

#: Seconds that one task waits at most for what is on its way, however steadily it comes.
LONGEST_WAIT_S = 10.0

#: Pauses between polls.
POLLS = Backoff(0.02, 0.5)

#: Jobs whose store node is known not to respond to C-FIND, or not to send receipts; forgetting one costs one
#: more attempt.
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Evidence:
    """What arrived, and how that is known: receipts, find, or only reported by the PACS.

    `unproven` are named objects among it that the store node has yet to commit to.
    """

    arrivals: Arrivals
    proof: str
    unproven: frozenset[str] = frozenset()

    @property
    def proven(self) -> Arrivals:
        """What arrived without them."""
        return Arrivals(self.arrivals.sop_instance_uids - self.unproven, self.arrivals.unlisted)


class ArrivalCheck:
    """Finds out what of a task's objects arrived.

    `grace_s`: seconds without an arrival after which what a PACS reports as sent is requested again.
    """

    def __init__(self, database: Database, pool: AssociationPool, *, grace_s: float) -> None:
        self._database = database
        self._pool = pool
        self.grace_s = grace_s
        self._in_place_s = min(grace_s, IN_PLACE_S)
        self._no_find: OrderedDict[str, None] = OrderedDict()
        #: Jobs whose store node has sent no receipt for a whole task: the others do not wait for one.
        self._no_receipts: OrderedDict[str, None] = OrderedDict()

    def receipts(self, context: RetrieveContext, parts: Sequence[SeriesPart]) -> Arrivals:
        """Return what the store has received by now."""
        with self._database.read() as session:
            return receipts(session, context, parts)

    def waited_in_place_s(self, proof: str) -> float | None:
        """Return the seconds waited in place; None if nothing is waited for any longer."""
        more = proof != "reported" and self._in_place_s < self.grace_s
        return self._in_place_s if more else None

    def check(
        self, context: RetrieveContext, parts: Sequence[SeriesPart], cancellation: Cancellation
    ) -> Evidence:
        """Return what arrived of these parts by now, without waiting.

        Raises:
            InterruptedWorkError: a stop was requested.
            DatabaseAwayError: the database is away.
        """
        arrivals = self.receipts(context, parts)
        everything = all(arrivals.of(part) >= part.size for part in parts)
        if context.own_store or everything or context.job_id in self._no_find:
            return Evidence(arrivals, "receipts")
        try:
            return Evidence(self._receipts_and_find(context, parts, cancellation), "find")
        except PeerError as error:
            log.info("C-FIND on the store node failed", job_id=context.job_id, error=error.code)
            return Evidence(arrivals, "receipts")

    def wait(
        self,
        context: RetrieveContext,
        parts: Sequence[SeriesPart],
        may_come: int,
        cancellation: Cancellation,
    ) -> Evidence:
        """Return what arrived of these parts, once `may_come` of them are there or nothing more comes.

        Raises:
            InterruptedWorkError: a stop was requested.
            DatabaseAwayError: the database is away.
        """

        def received() -> Arrivals:
            return self.receipts(context, parts)

        def received_or_found() -> Arrivals:
            return self._receipts_and_find(context, parts, cancellation)

        if context.own_store:
            return Evidence(self._wait(received, parts, may_come, cancellation), "receipts")
        arrivals = received()
        if arrivals.count(parts) >= may_come:
            return Evidence(arrivals, "receipts")
        if context.job_id not in self._no_find:
            try:
                return Evidence(self._wait(received_or_found, parts, may_come, cancellation), "find")
            except PeerError as error:
                self._remember_no_find(context, error)
        if not arrivals and context.job_id in self._no_receipts:
            return Evidence(arrivals, "reported")
        arrivals = self._wait(received, parts, may_come, cancellation)
        if not arrivals:
            _remember(self._no_receipts, context.job_id)
        return Evidence(arrivals, "receipts" if arrivals.count(parts) >= may_come else "reported")

    def _receipts_and_find(
        self, context: RetrieveContext, parts: Sequence[SeriesPart], cancellation: Cancellation
    ) -> Arrivals:
        """Return what arrived by receipts, and for the rest by C-FIND on the store node."""
        arrivals = self.receipts(context, parts)
        for part in parts:
            if arrivals.of(part) < part.size:
                arrivals.add(self._find(context, part, cancellation))
        return arrivals

    def _find(self, context: RetrieveContext, part: SeriesPart, cancellation: Cancellation) -> Arrivals:
        matches = find_objects(self._pool, context.store, *part.key, cancellation)
        uids = {match.sop_instance_uid for match in matches}
        if part.unlisted:
            return Arrivals(unlisted={part.key: uids} if uids else {})
        return Arrivals(sop_instance_uids=uids & set(part.sop_instance_uids))

    def _remember_no_find(self, context: RetrieveContext, error: PeerError) -> None:
        log.info("no more C-FIND on the store node", job_id=context.job_id, error=error.code)
        _remember(self._no_find, context.job_id)

    def _wait(
        self,
        arrived: Callable[[], Arrivals],
        parts: Sequence[SeriesPart],
        may_come: int,
        cancellation: Cancellation,
    ) -> Arrivals:
        """Poll until everything is there that may come, or nothing has come for the grace period."""
        began = last_arrival = time.monotonic()
        arrivals, pauses = arrived(), POLLS.pauses()
        known = arrivals.count(parts)
        while known < may_come:
            now = time.monotonic()
            if now - last_arrival >= self._in_place_s or now - began >= LONGEST_WAIT_S:
                break
            if cancellation.wait(next(pauses)):
                raise InterruptedWorkError(cancellation.reason)
            arrivals = arrived()
            if arrivals.count(parts) > known:
                known, last_arrival = arrivals.count(parts), time.monotonic()
        return arrivals


def _remember(jobs: OrderedDict[str, None], job_id: str) -> None:
    jobs[job_id] = None
    while len(jobs) > _REMEMBERED:
        jobs.popitem(last=False)
