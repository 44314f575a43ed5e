"""The probe of a query: one of its tasks finds out whether its node names any study at all.

It is claimed in the ledger, so that several workers, also in several processes, do not probe at once. The
claim stands as long as that of the task which made it: what a dead worker held is free with its lease.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.clock import Clock
from shared.database.models import Query, QueryTask
from shared.database.session import Database
from shared.jobs.model import Claim
from shared.querying.payloads import SLICE

#: A slice that waits for its first or next try has sent nothing that counts.
_BEGUN = ("running", "done", "cut")


class ProbeState(Enum):
    """How the probe of a query stands."""

    OURS = "ours"
    OTHERS = "others"
    NAMES_A_STUDY = "names a study"
    NAMES_NONE = "names none"


class ProbeLedger:
    """The probe of a query in the ledger, for one of its tasks."""

    def __init__(self, database: Database, claim: Claim, clock: Clock) -> None:
        self._database = database
        self._claim = claim
        self._clock = clock

    def now(self) -> datetime:
        """Return the time by which claims are judged."""
        return self._clock()

    def begun_slices(self) -> int:
        """Return how many slices of the query were begun, this one included."""
        of_job = (QueryTask.job_id == self._claim.job_id, QueryTask.kind == SLICE)
        with self._database.read() as session:
            begun = select(func.count()).where(*of_job, QueryTask.state.in_(_BEGUN))
            return session.scalar(begun) or 0

    def take(self) -> ProbeState:
        """Claim the probe for this task, or return how it stands."""
        with self._database.write() as session:
            query = session.get_one(Query, self._claim.job_id, with_for_update=True)
            if query.names_study is not None:
                return ProbeState.NAMES_A_STUDY if query.names_study else ProbeState.NAMES_NONE
            if query.probe_token != self._claim.token and self._is_claimed(session, query.probe_token):
                return ProbeState.OTHERS
            query.probe_token = self._claim.token
            return ProbeState.OURS

    def _is_claimed(self, session: Session, token: str) -> bool:
        alive = (QueryTask.state == "running", QueryTask.lease_until >= self._clock())
        of_token = (QueryTask.job_id == self._claim.job_id, QueryTask.claim_token == token)
        return session.scalar(select(QueryTask.id).where(*of_token, *alive).limit(1)) is not None

    def record(self, save: Callable[[Session], None], *, names_study: bool) -> None:
        """Record what the probe found, and `save` what it taught, for all workers at once."""
        with self._database.write() as session:
            session.get_one(Query, self._claim.job_id, with_for_update=True).names_study = names_study
            save(session)
