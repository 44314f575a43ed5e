"""The C-FINDs of a task in the ledger, and what became of all those of its job at STUDY level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import and_, bindparam, func, insert, select
from sqlalchemy.orm import Session

from services.query.ledger.studies import add_counts
from shared.database.models import QueryFind, QueryTask
from shared.database.session import Database
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.status import status_error
from shared.dicomweb.http.errors import error_of_status
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
    #: Whether it was only to be compared with another one.
    control: bool = False


@dataclass(frozen=True, slots=True)
class StudyFinds:
    """The C-FINDs of a job at STUDY level that failed so far."""

    failed: int
    first_at: datetime | None = None
    last_error: PeerError | None = None


# Made once: each task executes them, and to make a statement takes longer than to execute it.
_AT_STUDY_LEVEL = and_(QueryFind.job_id == bindparam("of_job"), QueryFind.level == "STUDY")
_COMPLETE = QueryFind.error == ""
_FAILED = QueryFind.error.not_in(("", "interrupted"))
_ANY_COMPLETE = select(QueryFind.id).where(_AT_STUDY_LEVEL, _COMPLETE).limit(1)
_STUDY_FINDS = select(func.count(), func.min(QueryFind.asked_at)).where(_AT_STUDY_LEVEL, _FAILED)
_CONTROLS = select(func.count()).where(_AT_STUDY_LEVEL, QueryFind.control)
_LAST_FAILED = select(QueryFind).where(_AT_STUDY_LEVEL, _FAILED).order_by(QueryFind.id.desc()).limit(1)


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

    @property
    def is_saved(self) -> bool:
        """Whether everything is written."""
        return not self._unsaved

    def save(self) -> None:
        """Write what is not yet written."""
        if self._unsaved:
            with self._database.write() as session:
                self.save_in(session)

    def save_in(self, session: Session) -> None:
        """Write what is not yet written in the caller's transaction."""
        unsaved, self._unsaved = self._unsaved, []
        if not unsaved:
            return
        key = {"job_id": self._claim.job_id, "task_id": self._claim.task_id}
        session.execute(insert(QueryFind), [key | asdict(record) for record in unsaved])
        add_counts(session, self._claim.job_id, finds=len(unsaved))

    def has_complete_study_find(self) -> bool:
        """Return whether a C-FIND of the job at STUDY level has succeeded."""
        if self._unsaved_study_finds():
            return True
        with self._database.read_outside() as session:
            return session.scalar(_ANY_COMPLETE, {"of_job": self._claim.job_id}) is not None

    def controls(self) -> int:
        """Return the number of control requests of the job."""
        unsaved = sum(record.control for record in self._unsaved)
        with self._database.read_outside() as session:
            return unsaved + (session.scalar(_CONTROLS, {"of_job": self._claim.job_id}) or 0)

    def study_finds(self) -> StudyFinds:
        """Return the C-FINDs of the job at STUDY level."""
        of_job = {"of_job": self._claim.job_id}
        with self._database.read_outside() as session:
            failed, first_at = session.execute(_STUDY_FINDS, of_job).one()
            last = session.scalars(_LAST_FAILED, of_job).first() if failed else None
            return StudyFinds(
                failed=failed,
                first_at=first_at,
                last_error=self._error_of(session, last) if last else None,
            )

    def _error_of(self, session: Session, find: QueryFind) -> PeerError:
        """Return the error with which a C-FIND ended, as far as the ledger knows it."""
        http_status = find.error.removeprefix("http_")
        if http_status != find.error:
            return error_of_status(int(http_status), "studies")
        if find.status_code:
            return status_error(find.status_code)
        outcome = Outcome(find.error.replace("_", " "))
        # A slice that was split, or waits for its next try, has the words of its last failure.
        details = select(QueryTask.detail).where(
            QueryTask.job_id == self._claim.job_id,
            QueryTask.state != "failed",
            QueryTask.detail.startswith(f"{outcome}: ", autoescape=True),
        )
        detail = session.scalars(details.order_by(QueryTask.id.desc()).limit(1)).first() or ""
        return PeerError(outcome, detail.removeprefix(f"{outcome}: "))

    def _unsaved_study_finds(self) -> int:
        """Return how many are not written yet; all of them succeeded."""
        return sum(record.level == "STUDY" for record in self._unsaved)
