"""Takes over what a slice found: new studies are written, and decided where the study level is enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from services.query.examination.examine_study import Decided
from services.query.examination.pending_studies import full_examinations
from services.query.ledger.decisions import save_outcomes
from services.query.ledger.studies import add_studies
from services.query.rules.decide import KnownObjects, StudyDecision, decide
from services.query.search.slice_identifier import belongs_to
from shared.contract.criteria import Criteria
from shared.dicom.query.matches import StudyMatch
from shared.jobs.model import Claim
from shared.jobs.new_task import NewTask
from shared.querying.payloads import read_slice

PublishDecisions = Callable[[str, Sequence[StudyDecision]], None]


@dataclass(frozen=True, slots=True)
class QueryContext:
    """What the work on a query's tasks needs to know of it."""

    criteria: Criteria
    today: date


class FoundStudies:
    """Writes what one slice found."""

    def __init__(self, claim: Claim, context: QueryContext, publish: PublishDecisions) -> None:
        self._claim = claim
        self._context = context
        self._publish = publish
        self._decided: list[StudyDecision] = []

    def take(self, session: Session, found: Sequence[StudyMatch]) -> Sequence[NewTask]:
        """Write what was found within the caller's transaction; return examinations that follow."""
        claim = self._claim
        part = read_slice(claim.payload)
        matches = [match for match in found if belongs_to(match, part)]
        found_now = add_studies(session, claim.job_id, claim.task_id, matches)
        verdicts = [decide(self._context.criteria, one, None, {}, KnownObjects()) for one in found_now]
        decided = [Decided(verdict) for verdict in verdicts if isinstance(verdict, StudyDecision)]
        self._decided = save_outcomes(session, claim.job_id, None, decided)
        return full_examinations(session, claim.job_id)

    def published(self) -> None:
        """Tell what was decided, after the commit."""
        self._publish(self._claim.job_id, self._decided)
