"""The C-FINDs of a task in the ledger, and what became of all those of its job at STUDY level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import and_, func, insert, select

from services.query.ledger.studies import add_counts
from shared.database.models import QueryFind
from shared.database.session import Database
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.status import status_error
from shared.jobs.model import Claim


@dataclass(frozen=True, slots=True)
class FindRecord:
    """One C-FIND for the ledger; keys are dates, codes and UIDs only."""

    level: str
    keys: Mapping[str, object]
    status_code: int | None
    matches: int
    duration_ms: int
    error: str
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class StudyFinds:
    """The C-FINDs of a job at STUDY level so far."""

    failed: int
    complete: int
    first_at: datetime | None = None
    last_error: PeerError | None = None


class FindLog:
    """Keeps the C-FINDs of one task until they are written; failures are written immediately."""

    def __init__(self, database: Database, claim: Claim) -> None:
        self._database = database
        self._claim = claim
        self._unsaved: list[FindRecord] = []

    def add(self, record: FindRecord) -> None:
        """Add a C-FIND; other workers have to know of failures at STUDY level."""
        self._unsaved.append(record)
        if record.error and record.level == "STUDY":
            self.save()

    def save(self) -> None:
        """Write what is not yet written."""
        unsaved, self._unsaved = self._unsaved, []
        if not unsaved:
            return
        key = {"job_id": self._claim.job_id, "task_id": self._claim.task_id}
        with self._database.write() as session:
            session.execute(insert(QueryFind), [key | asdict(record) for record in unsaved])
            add_counts(session, self._claim.job_id, finds=len(unsaved))

    def study_finds(self) -> StudyFinds:
        """Return the C-FINDs of the job at STUDY level."""
        of_job = and_(QueryFind.job_id == self._claim.job_id, QueryFind.level == "STUDY")
        failed = and_(of_job, QueryFind.error.not_in(("", "interrupted")))
        with self._database.read() as session:
            complete = session.scalar(select(func.count()).where(of_job, QueryFind.error == "")) or 0
            first = session.scalars(select(QueryFind).where(failed).order_by(QueryFind.id).limit(1)).first()
            newest = select(QueryFind).where(failed).order_by(QueryFind.id.desc()).limit(1)
            last = session.scalars(newest).first()
            return StudyFinds(
                failed=session.scalar(select(func.count()).where(failed)) or 0,
                complete=complete + sum(record.level == "STUDY" for record in self._unsaved),
                first_at=first.asked_at if first else None,
                last_error=_error_of(last) if last else None,
            )


def _error_of(find: QueryFind) -> PeerError:
    """Return the error with which a C-FIND ended, as far as the ledger knows it."""
    if find.status_code:
        return status_error(find.status_code)
    return PeerError(Outcome(find.error.replace("_", " ")), "")
