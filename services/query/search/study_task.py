"""The search of studies by UID or accession number; those that a list leaves out are searched one by one."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from services.query.context import TaskScope
from services.query.ledger.slices import record_matches
from services.query.ledger.studies import add_counts
from services.query.search.found_studies import FoundStudies
from services.query.search.slice_identifier import slice_identifier
from shared.database.models import QueryTask
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.query.matches import FindResult, StudyMatch
from shared.jobs.model import Result
from shared.jobs.new_task import NewTask
from shared.querying.initial_tasks import single_study_tasks
from shared.querying.payloads import AccessionSlice, StudyListSlice, StudySlice, to_json
from shared.querying.profile import LIST_LENGTH

StudyKeySlice = StudyListSlice | StudySlice | AccessionSlice


class StudyTask:
    """The search of the studies that one slice names."""

    def __init__(self, task: TaskScope, part: StudyKeySlice, found_studies: FoundStudies) -> None:
        self._scu = task.scu
        self._learner = task.learner
        self._claim = task.claim
        self._slice = part
        self._context = task.context
        self._found_studies = found_studies

    def perform(self) -> Result:
        """Search the slice.

        Raises:
            PeerError: the result is not complete, and not because it is a list.
            InterruptedWorkError: stopping was requested.
        """
        result = self._find()
        if isinstance(self._slice, StudyListSlice):
            return self._take_list(self._slice.study_instance_uids, result)
        if result.error is not None:
            raise result.error
        return self._complete(result.matches)

    def _find(self) -> FindResult[StudyMatch]:
        key = bool(self._learner.profile.study_modality_key)
        identifier = slice_identifier(self._slice, self._context.criteria, with_modality_key=key)
        return self._scu.find_studies(identifier, record_keys=to_json(self._slice))

    def _take_list(self, uids: Sequence[str], result: FindResult[StudyMatch]) -> Result:
        if isinstance(result.error, PeerError) and result.error.outcome is Outcome.STATUS:
            self._learner.learn(lambda profile: profile.takes_lists("STUDY", 0))
            return self._split(uids, result.matches, str(result.error))
        if result.error is not None:
            raise result.error
        named = {match.study_instance_uid for match in result.matches} & set(uids)
        self._learn_list(len(named), len(uids), others=len(result.matches) > len(named))
        left = [uid for uid in uids if uid not in named]
        if left:
            return self._split(left, result.matches, "left out of the result of a list")
        return self._complete(result.matches)

    def _learn_list(self, named: int, requested: int, *, others: bool) -> None:
        """Learn whether lists are taken; few studies of many may also just not be there."""
        if others or not named:
            self._learner.learn(lambda profile: profile.takes_lists("STUDY", 0))
        elif named > requested / 2 and self._learner.profile.study_list is None:
            self._learner.learn(lambda profile: profile.takes_lists("STUDY", LIST_LENGTH))

    def _complete(self, matches: Sequence[StudyMatch]) -> Result:
        def write(session: Session) -> Sequence[NewTask]:
            add_counts(session, self._claim.job_id, slices_complete=1)
            if not isinstance(self._slice, StudyListSlice):
                record_matches(session.get_one(QueryTask, self._claim.task_id), len(matches))
            self._learner.save_in(session)
            return self._found_studies.take(session, matches)

        return Result(write, after=self._found_studies.published)

    def _split(self, uids: Sequence[str], matches: Sequence[StudyMatch], why: str) -> Result:
        def write(session: Session) -> Sequence[NewTask]:
            single = single_studies(session, self._claim.job_id, uids)
            self._learner.save_in(session)
            return [*single, *self._found_studies.take(session, matches)]

        return Result(write, state="cut", detail=why, after=self._found_studies.published)


def single_studies(session: Session, job_id: str, study_instance_uids: Sequence[str]) -> Sequence[NewTask]:
    """Return a slice for each of these studies, in place of the one that lists them."""
    add_counts(session, job_id, slices_total=len(study_instance_uids) - 1)
    return single_study_tasks(study_instance_uids)
