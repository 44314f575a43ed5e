"""Success is what arrived: receipts, else what the store node answers, else the PACS's word."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from services.retrieve.context import Facts, Seen
from services.retrieve.ledger.arrived import receipts
from services.retrieve.planning.moves import Share
from shared.database.session import Database
from shared.dicom.association.c_find import find
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, PeerError
from shared.dicom.query.identifiers import image_identifier
from shared.dicom.query.matches import object_match
from shared.dicom.sop_classes import STUDY_ROOT_FIND
from shared.node_access.pool import LinkPool

log = structlog.get_logger(__name__)

FIND_CONTEXTS = (STUDY_ROOT_FIND,)

#: So long a task itself waits for what a PACS says it has sent, from each arrival on; the rest of the grace
#: period is waited for without a worker.
IN_PLACE_S = 1.0

#: The longest wait of one task for what is on its way, however steadily it comes.
LONGEST_WAIT_S = 10.0

#: Pauses between two looks.
FIRST_LOOK_S, LONGEST_LOOK_S = 0.02, 0.5

#: Jobs whose store node is known not to answer; forgetting one costs one more attempt.
_REMEMBERED = 1000

Look = Callable[[], Seen]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What arrived, and how that is known: receipts, find, or nothing but the PACS's word (reported).

    `unproven` are named objects among it that the store node has yet to commit to.
    """

    seen: Seen
    proof: str
    unproven: frozenset[str] = frozenset()

    @property
    def proven(self) -> Seen:
        """What is there without them."""
        return Seen(self.seen.sop_instance_uids - self.unproven, self.seen.nameless)


class Verifier:
    """Finds out what of a task's objects arrived.

    `grace_s`: seconds without an arrival after which what a PACS says it has sent is asked for again.
    """

    def __init__(self, database: Database, links: LinkPool, *, grace_s: float) -> None:
        self._database = database
        self._links = links
        self.grace_s = grace_s
        self._in_place_s = min(grace_s, IN_PLACE_S)
        self._silent: OrderedDict[str, None] = OrderedDict()

    def look(self, facts: Facts, shares: Sequence[Share]) -> Seen:
        """Return what the store has received by now."""
        with self._database.read() as session:
            return receipts(session, facts, shares)

    def patience_left(self, proof: str) -> float | None:
        """Return the seconds waited in place if more patience is wanted for what is on its way."""
        more = proof != "reported" and self._in_place_s < self.grace_s
        return self._in_place_s if more else None

    def look_once(self, facts: Facts, shares: Sequence[Share], cancellation: Cancellation) -> Evidence:
        """Return what arrived of these shares by now, without waiting.

        Raises:
            InterruptedWorkError: stopping was asked for.
            DatabaseAwayError: the database is away.
        """
        seen = self.look(facts, shares)
        everything = all(seen.of(share) >= share.size for share in shares)
        if facts.own_store or everything or facts.job_id in self._silent:
            return Evidence(seen, "receipts")
        try:
            return Evidence(self._look_there(facts, shares, cancellation), "find")
        except PeerError as error:
            log.info("store node not asked", job_id=facts.job_id, error=error.code)
            return Evidence(seen, "receipts")

    def verify(
        self, facts: Facts, shares: Sequence[Share], on_their_way: int, cancellation: Cancellation
    ) -> Evidence:
        """Return what arrived of these shares, of which so many may still be on their way.

        Raises:
            InterruptedWorkError: stopping was asked for.
            DatabaseAwayError: the database is away.
        """

        def look() -> Seen:
            return self.look(facts, shares)

        if facts.own_store:
            return Evidence(self._wait(look, shares, on_their_way, cancellation), "receipts")
        seen = look()
        if count(seen, shares) >= on_their_way:
            return Evidence(seen, "receipts")
        if facts.job_id not in self._silent:
            try:
                return self._ask_store(facts, shares, on_their_way, cancellation)
            except PeerError as error:
                self._remember(facts, error)
        if seen:  # this store does send receipts
            seen = self._wait(look, shares, on_their_way, cancellation)
        return Evidence(seen, "reported")

    def _ask_store(
        self, facts: Facts, shares: Sequence[Share], on_their_way: int, cancellation: Cancellation
    ) -> Evidence:
        def look() -> Seen:
            return self._look_there(facts, shares, cancellation)

        return Evidence(self._wait(look, shares, on_their_way, cancellation), "find")

    def _look_there(self, facts: Facts, shares: Sequence[Share], cancellation: Cancellation) -> Seen:
        """Return what arrived by receipts, and for the rest by what the store node answers."""
        seen = self.look(facts, shares)
        for share in shares:
            if seen.of(share) < share.size:
                seen.add(self._found(facts, share, cancellation))
        return seen

    def _found(self, facts: Facts, share: Share, cancellation: Cancellation) -> Seen:
        identifier = image_identifier([share.study_instance_uid], [share.series_instance_uid])
        with self._links.link(facts.store, FIND_CONTEXTS, cancellation) as link:
            result = find(link, identifier, object_match, cancellation)
        if result.error is not None:
            raise result.error
        uids = {
            match.sop_instance_uid
            for match in result.matches
            if match.series_instance_uid in (None, share.series_instance_uid)
        }
        if share.nameless:
            return Seen(nameless={share.key: uids} if uids else {})
        return Seen(sop_instance_uids=uids & set(share.sop_instance_uids))

    def _remember(self, facts: Facts, error: PeerError) -> None:
        log.info("store node not asked any more", job_id=facts.job_id, error=error.code)
        self._silent[facts.job_id] = None
        while len(self._silent) > _REMEMBERED:
            self._silent.popitem(last=False)

    def _wait(
        self, look: Look, shares: Sequence[Share], on_their_way: int, cancellation: Cancellation
    ) -> Seen:
        """Look until everything is there that may come, or nothing has come for the grace period."""
        began = last_arrival = time.monotonic()
        seen, pause_s = look(), FIRST_LOOK_S
        known = count(seen, shares)
        while known < on_their_way:
            now = time.monotonic()
            if now - last_arrival >= self._in_place_s or now - began >= LONGEST_WAIT_S:
                break
            if cancellation.wait(pause_s):
                raise InterruptedWorkError(cancellation.reason)
            pause_s = min(pause_s * 2, LONGEST_LOOK_S)
            seen = look()
            if count(seen, shares) > known:
                known, last_arrival = count(seen, shares), time.monotonic()
        return seen


def count(seen: Seen, shares: Sequence[Share]) -> int:
    """Return how many objects of these shares arrived."""
    return sum(seen.of(share) for share in shares)
