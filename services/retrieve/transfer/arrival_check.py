"""Success is what arrived: receipts, else what the store node answers, else the PACS's word."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from services.retrieve.context import Arrivals, RetrieveContext
from services.retrieve.ledger.arrived import receipts
from services.retrieve.planning.moves import SeriesPart
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, PeerError
from shared.dicom.query.identifiers import image_identifier
from shared.dicom.query.matches import object_match
from shared.node_access.pool import AssociationPool

log = structlog.get_logger(__name__)

#: So long a task itself waits for what a PACS says it has sent, from each arrival on; the rest of the grace
#: period is waited for without a worker.
IN_PLACE_S = 1.0

#: The longest wait of one task for what is on its way, however steadily it comes.
LONGEST_WAIT_S = 10.0

#: Pauses between two looks.
FIRST_LOOK_S, LONGEST_LOOK_S = 0.02, 0.5

#: Jobs whose store node is known not to answer; forgetting one costs one more attempt.
_REMEMBERED = 1000

Look = Callable[[], Arrivals]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What arrived, and how that is known: receipts, find, or nothing but the PACS's word (reported).

    `unproven` are named objects among it that the store node has yet to commit to.
    """

    arrivals: Arrivals
    proof: str
    unproven: frozenset[str] = frozenset()

    @property
    def proven(self) -> Arrivals:
        """What is there without them."""
        return Arrivals(self.arrivals.sop_instance_uids - self.unproven, self.arrivals.unlisted)


class ArrivalCheck:
    """Finds out what of a task's objects arrived.

    `grace_s`: seconds without an arrival after which what a PACS says it has sent is asked for again.
    """

    def __init__(self, database: Database, pool: AssociationPool, *, grace_s: float) -> None:
        self._database = database
        self._pool = pool
        self.grace_s = grace_s
        self._in_place_s = min(grace_s, IN_PLACE_S)
        self._silent: OrderedDict[str, None] = OrderedDict()

    def look(self, context: RetrieveContext, parts: Sequence[SeriesPart]) -> Arrivals:
        """Return what the store has received by now."""
        with self._database.read() as session:
            return receipts(session, context, parts)

    def patience_left(self, proof: str) -> float | None:
        """Return the seconds waited in place if more patience is wanted for what is on its way."""
        more = proof != "reported" and self._in_place_s < self.grace_s
        return self._in_place_s if more else None

    def look_once(
        self, context: RetrieveContext, parts: Sequence[SeriesPart], cancellation: Cancellation
    ) -> Evidence:
        """Return what arrived of these shares by now, without waiting.

        Raises:
            InterruptedWorkError: stopping was asked for.
            DatabaseAwayError: the database is away.
        """
        arrivals = self.look(context, parts)
        everything = all(arrivals.of(part) >= part.size for part in parts)
        if context.own_store or everything or context.job_id in self._silent:
            return Evidence(arrivals, "receipts")
        try:
            return Evidence(self._look_there(context, parts, cancellation), "find")
        except PeerError as error:
            log.info("store node not asked", job_id=context.job_id, error=error.code)
            return Evidence(arrivals, "receipts")

    def verify(
        self,
        context: RetrieveContext,
        parts: Sequence[SeriesPart],
        on_their_way: int,
        cancellation: Cancellation,
    ) -> Evidence:
        """Return what arrived of these shares, of which so many may still be on their way.

        Raises:
            InterruptedWorkError: stopping was asked for.
            DatabaseAwayError: the database is away.
        """

        def look() -> Arrivals:
            return self.look(context, parts)

        if context.own_store:
            return Evidence(self._wait(look, parts, on_their_way, cancellation), "receipts")
        arrivals = look()
        if count(arrivals, parts) >= on_their_way:
            return Evidence(arrivals, "receipts")
        if context.job_id not in self._silent:
            try:
                return self._ask_store(context, parts, on_their_way, cancellation)
            except PeerError as error:
                self._remember(context, error)
        if arrivals:  # this store does send receipts
            arrivals = self._wait(look, parts, on_their_way, cancellation)
        return Evidence(arrivals, "reported")

    def _ask_store(
        self,
        context: RetrieveContext,
        parts: Sequence[SeriesPart],
        on_their_way: int,
        cancellation: Cancellation,
    ) -> Evidence:
        def look() -> Arrivals:
            return self._look_there(context, parts, cancellation)

        return Evidence(self._wait(look, parts, on_their_way, cancellation), "find")

    def _look_there(
        self, context: RetrieveContext, parts: Sequence[SeriesPart], cancellation: Cancellation
    ) -> Arrivals:
        """Return what arrived by receipts, and for the rest by what the store node answers."""
        arrivals = self.look(context, parts)
        for part in parts:
            if arrivals.of(part) < part.size:
                arrivals.add(self._found(context, part, cancellation))
        return arrivals

    def _found(self, context: RetrieveContext, part: SeriesPart, cancellation: Cancellation) -> Arrivals:
        identifier = image_identifier([part.study_instance_uid], [part.series_instance_uid])
        with self._pool.find(context.store, cancellation) as association:
            result = association.c_find(identifier, object_match, cancellation)
        if result.error is not None:
            raise result.error
        uids = {
            match.sop_instance_uid
            for match in result.matches
            if match.series_instance_uid in (None, part.series_instance_uid)
        }
        if part.unlisted:
            return Arrivals(unlisted={part.key: uids} if uids else {})
        return Arrivals(sop_instance_uids=uids & set(part.sop_instance_uids))

    def _remember(self, context: RetrieveContext, error: PeerError) -> None:
        log.info("store node not asked any more", job_id=context.job_id, error=error.code)
        self._silent[context.job_id] = None
        while len(self._silent) > _REMEMBERED:
            self._silent.popitem(last=False)

    def _wait(
        self, look: Look, parts: Sequence[SeriesPart], on_their_way: int, cancellation: Cancellation
    ) -> Arrivals:
        """Look until everything is there that may come, or nothing has come for the grace period."""
        began = last_arrival = time.monotonic()
        arrivals, pause_s = look(), FIRST_LOOK_S
        known = count(arrivals, parts)
        while known < on_their_way:
            now = time.monotonic()
            if now - last_arrival >= self._in_place_s or now - began >= LONGEST_WAIT_S:
                break
            if cancellation.wait(pause_s):
                raise InterruptedWorkError(cancellation.reason)
            pause_s = min(pause_s * 2, LONGEST_LOOK_S)
            arrivals = look()
            if count(arrivals, parts) > known:
                known, last_arrival = count(arrivals, parts), time.monotonic()
        return arrivals


def count(arrivals: Arrivals, parts: Sequence[SeriesPart]) -> int:
    """Return how many objects of these shares arrived."""
    return sum(arrivals.of(part) for part in parts)
