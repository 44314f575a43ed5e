"""Writes the studies that a slice found, and decides those for which the STUDY level is enough."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from services.query.context import PublishDecisions, QueryContext
from services.query.ledger.decisions import save_outcomes
from services.query.ledger.studies import add_studies, full_examinations
from services.query.rules.decide import decide
from services.query.rules.model import Decided, KnownObjects, StudyDecision
from shared.contract.criteria import Criteria
from shared.contract.criteria_fields import fold
from shared.database.session import Database
from shared.dicom.query.dates import day_of, minute_of
from shared.dicom.query.matches import StudyMatch
from shared.jobs.model import Claim
from shared.jobs.new_task import NewTask
from shared.querying.payloads import (
    AccessionSlice,
    SlicePayload,
    StudyListSlice,
    StudySlice,
    WindowSlice,
    read_slice,
)


class FoundStudies:
    """Writes what one slice found."""

    def __init__(self, claim: Claim, context: QueryContext, publish: PublishDecisions) -> None:
        self._claim = claim
        self._context = context
        self._publish = publish
        self._decided: list[StudyDecision] = []
        #: Whether studies are taken whose date is returned as one outside of the slice.
        self.takes_strays = False
        #: Whether studies are left out whose time is returned as one outside of the requested hours.
        self.leaves_out_other_hours = False

    def take(self, session: Session, found: Sequence[StudyMatch]) -> Sequence[NewTask]:
        """Write the studies within the caller's transaction; return the examinations that follow."""
        self._add(session, found)
        return full_examinations(session, self._claim.job_id)

    def keep(self, database: Database, found: Sequence[StudyMatch]) -> None:
        """Write the studies of a request that failed: they are there, whatever else is.

        They are examined once no slice is open.
        """
        if found:
            with database.write() as session:
                self._add(session, found)
            self.published()

    def _add(self, session: Session, found: Sequence[StudyMatch]) -> None:
        claim = self._claim
        part = read_slice(claim.payload)
        matches = [match for match in found if self.takes_strays or belongs_to(match, part)]
        if self.leaves_out_other_hours:
            matches = [match for match in matches if in_hours(match, self._context.criteria)]
        studies = add_studies(session, claim.job_id, claim.task_id, matches)
        verdicts = [decide(self._context.criteria, study, None, {}, KnownObjects()) for study in studies]
        decided = [Decided(verdict) for verdict in verdicts if isinstance(verdict, StudyDecision)]
        self._decided = save_outcomes(session, claim.job_id, None, decided)

    def published(self) -> None:
        """Publish what was decided, after the commit."""
        self._publish(self._claim.job_id, self._decided)


def in_hours(study: StudyMatch, criteria: Criteria) -> bool:
    """Return whether a study lies in the requested hours, or returned no time that can be read."""
    minute = minute_of(study.study_time)
    return minute is None or (criteria.time_from or minute) <= minute <= (criteria.time_until or minute)


def belongs_to(study: StudyMatch, part: SlicePayload) -> bool:
    """Return whether a match belongs to a slice: some PACS ignore keys. What was not returned passes."""
    match part:
        case StudyListSlice(uids):
            return study.study_instance_uid in uids
        case StudySlice(uid):
            return study.study_instance_uid == uid
        case AccessionSlice(number):
            return study.accession_number is None or _is_one_of(number, study.accession_number)
        case WindowSlice(window):
            day = day_of(study.study_date)
            return day is None or (window.date_from or day) <= day <= (window.date_until or day)


#: Characters of an SH (PS3.5 6.2).
_SH_MAX_LENGTH = 16


def _is_one_of(number: str, returned: str) -> bool:
    """Return whether an accession number is among the values that a PACS returns.

    Some compare in any case, some return no more of it than an SH has.
    """
    values, wanted = {fold(value) for value in returned.split("\\")}, fold(number)
    return wanted in values or (len(wanted) > _SH_MAX_LENGTH and wanted[:_SH_MAX_LENGTH] in values)
