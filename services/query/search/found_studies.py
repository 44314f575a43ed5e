"""Writes the studies that a slice found, and decides those for which the STUDY level is enough."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from services.query.context import PublishDecisions, QueryContext
from services.query.ledger.decisions import save_outcomes
from services.query.ledger.pending_studies import full_examinations
from services.query.ledger.studies import add_studies
from services.query.rules.decide import decide
from services.query.rules.model import KnownObjects, StudyDecision
from services.query.rules.outcome import Decided
from services.query.search.slice_identifier import belongs_to
from shared.dicom.query.matches import StudyMatch
from shared.jobs.model import Claim
from shared.jobs.new_task import NewTask
from shared.querying.payloads import read_slice


class FoundStudies:
    """Writes what one slice found."""

    def __init__(self, claim: Claim, context: QueryContext, publish: PublishDecisions) -> None:
        self._claim = claim
        self._context = context
        self._publish = publish
        self._decided: list[StudyDecision] = []

    def take(self, session: Session, found: Sequence[StudyMatch]) -> Sequence[NewTask]:
        """Write the studies within the caller's transaction; return the examinations that follow."""
        claim = self._claim
        part = read_slice(claim.payload)
        matches = [match for match in found if belongs_to(match, part)]
        studies = add_studies(session, claim.job_id, claim.task_id, matches)
        verdicts = [decide(self._context.criteria, study, None, {}, KnownObjects()) for study in studies]
        decided = [Decided(verdict) for verdict in verdicts if isinstance(verdict, StudyDecision)]
        self._decided = save_outcomes(session, claim.job_id, None, decided)
        return full_examinations(session, claim.job_id)

    def published(self) -> None:
        """Publish what was decided, after the commit."""
        self._publish(self._claim.job_id, self._decided)
