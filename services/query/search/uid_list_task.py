"""Work on a slice that names studies by a list of their UIDs; what a list leaves out is asked one by one."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from services.query.find_scu import FindScu
from services.query.ledger.studies import add_counts
from services.query.profile.learner import Learner
from services.query.search.found_studies import FoundStudies, QueryContext
from services.query.search.slice_identifier import slice_identifier
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.query.matches import StudyMatch
from shared.jobs.model import Claim, Result
from shared.jobs.new_task import NewTask
from shared.querying.payloads import by_one_uid
from shared.querying.profile import LIST_LENGTH


class UidListTask:
    """One list of studies in hand."""

    def __init__(
        self, scu: FindScu, learner: Learner, claim: Claim, context: QueryContext, found_studies: FoundStudies
    ) -> None:
        self._scu = scu
        self._learner = learner
        self._claim = claim
        self._context = context
        self._found_studies = found_studies

    def perform(self) -> Result:
        """Ask for the list.

        Raises:
            PeerError: the answer is not complete, for another reason than the list.
            InterruptedWorkError: stopping was asked for.
        """
        payload = self._claim.payload
        uids: list[str] = payload["study_instance_uids"]
        keys = slice_identifier(payload, self._context.criteria, self._learner.profile)
        result = self._scu.studies(keys, payload)
        if isinstance(result.error, PeerError) and result.error.outcome is Outcome.STATUS:
            self._learner.learn(lambda profile: profile.takes_lists("STUDY", 0))
            return self._one_by_one(uids, result.matches, str(result.error))
        if result.error is not None:
            raise result.error
        named = {match.study_instance_uid for match in result.matches} & set(uids)
        self._judge(len(named), len(uids), others=len(result.matches) > len(named))
        left = [uid for uid in uids if uid not in named]
        if left:
            return self._one_by_one(left, result.matches, "left out of the answer to a list")
        return Result(
            lambda session: self._write(session, result.matches), after=self._found_studies.published
        )

    def _judge(self, named: int, asked: int, *, others: bool) -> None:
        """Learn from the answer whether lists are taken; few studies of many may also just not be there."""
        if others or not named:
            self._learner.learn(lambda profile: profile.takes_lists("STUDY", 0))
        elif named > asked / 2 and self._learner.profile.study_list is None:
            self._learner.learn(lambda profile: profile.takes_lists("STUDY", LIST_LENGTH))

    def _write(self, session: Session, matches: Sequence[StudyMatch]) -> Sequence[NewTask]:
        add_counts(session, self._claim.job_id, slices_complete=1)
        self._learner.save_in(session)
        return self._found_studies.take(session, matches)

    def _one_by_one(self, uids: Sequence[str], matches: Sequence[StudyMatch], why: str) -> Result:
        def write(session: Session) -> Sequence[NewTask]:
            single = alone(session, self._claim.job_id, uids)
            self._learner.save_in(session)
            return [*single, *self._found_studies.take(session, matches)]

        return Result(write, state="cut", detail=why, after=self._found_studies.published)


def alone(session: Session, job_id: str, study_instance_uids: Sequence[str]) -> Sequence[NewTask]:
    """Return a slice for each of these studies, in place of the one that lists them."""
    add_counts(session, job_id, slices_total=len(study_instance_uids) - 1)
    return by_one_uid(study_instance_uids)
