"""The examination of some studies; those that fail do not stop the others."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from sqlalchemy.orm import Session

from services.query.context import PublishDecisions, TaskScope
from services.query.examination.examine_study import StudyExamination
from services.query.examination.missing_studies import failed_study
from services.query.examination.prefetch import PrefetchedMatches, prefetch
from services.query.ledger.decisions import save_outcomes
from services.query.ledger.earlier_runs import arrived_before, repeated
from services.query.ledger.studies import known_objects, study_days, undecided
from services.query.ledger.unchanged_studies import unchanged
from services.query.rules.model import Decided, KnownObjects, Missing, Outcome
from shared.contract.reasons import Reason
from shared.database.session import Database
from shared.dicom.errors import PeerError
from shared.dicom.query.matches import StudyMatch
from shared.jobs.model import Claim, Result
from shared.querying.payloads import read_examination
from shared.querying.profile import Profile

#: Seconds after which decided studies are written at the latest.
_HOLD_S = 1.0

#: Studies of one task that may fail before the others wait for its next try: the PACS itself may be ill.
_MOST_FAILURES = 3

#: Failures of a task after which a status is no passing trouble.
_LAST_TRY = 2


class ExamineTask:
    """The examination of the studies of one task."""

    def __init__(self, database: Database, task: TaskScope, publish: PublishDecisions) -> None:
        self._database = database
        self._scu = task.scu
        self._learner = task.learner
        self._claim = task.claim
        self._context = task.context
        self._outcomes = _OutcomeBuffer(database, task.claim, publish)

    def perform(self) -> Result:
        """Examine the studies; those that fail are examined again by the next try of the task.

        Raises:
            PeerError: at least one study failed.
            InterruptedWorkError: stopping was requested.
        """
        uids = read_examination(self._claim.payload).study_instance_uids
        with self._database.read() as session:
            studies = undecided(session, self._claim.job_id, uids)
            days = study_days(session, self._claim.job_id, uids)
            known = self._known(session, [study.study_instance_uid for study in studies])
            settled = self._settled(session, studies, known)
        self._outcomes.add(*settled)
        settled_uids = {outcome.study_instance_uid for outcome in settled}
        studies = [study for study in studies if study.study_instance_uid not in settled_uids]
        criteria = self._context.criteria
        prefetched = prefetch(criteria, studies, days, known, self._scu, self._learner)
        try:
            self._examine(studies, known, prefetched)
        finally:
            self._outcomes.save()
        return Result(write=lambda _session: [])

    def _known(self, session: Session, study_instance_uids: list[str]) -> dict[str, KnownObjects]:
        """Return what is known of these studies, for a run of a schedule also what earlier runs brought."""
        headers_count = self._context.headers_count
        known = known_objects(session, study_instance_uids, headers_count=headers_count)
        if not self._context.of_schedule:
            return known
        brought = arrived_before(
            session, self._claim.job_id, study_instance_uids, headers_count=headers_count
        )
        for uid, series_of in brought.items():
            known[uid] = KnownObjects({**known.get(uid, KnownObjects()).series_of, **series_of})
        return known

    def _settled(
        self, session: Session, studies: list[StudyMatch], known: dict[str, KnownObjects]
    ) -> list[Decided]:
        """Return decisions on studies that need no examination, if the PACS counts right."""
        if not self._learner.profile.counts_trusted:
            return []
        job_id, criteria = self._claim.job_id, self._context.criteria
        settled = [*map(Decided, unchanged(session, job_id, criteria, studies, known))]
        if not self._context.of_schedule:
            return settled
        settled_uids = {outcome.study_instance_uid for outcome in settled}
        rest = [study for study in studies if study.study_instance_uid not in settled_uids]
        return [*settled, *repeated(session, job_id, criteria, rest, known)]

    def _examine(
        self, studies: list[StudyMatch], known: dict[str, KnownObjects], prefetched: PrefetchedMatches
    ) -> None:
        failures: list[PeerError] = []
        for study in studies:
            known_of_study = known.get(study.study_instance_uid, KnownObjects())
            try:
                outcome = self._examine_one(study, known_of_study, prefetched)
            except PeerError as error:
                failures.append(error)
                if error.associating or len(failures) == _MOST_FAILURES:
                    raise
            else:
                self._learner.learn(partial(_compared, study=study, outcome=outcome))
                self._outcomes.add(outcome)
        if failures:
            raise failures[-1]

    def _examine_one(self, study: StudyMatch, known: KnownObjects, prefetched: PrefetchedMatches) -> Outcome:
        try:
            examination = StudyExamination(self._context.criteria, study, known, self._scu, prefetched)
            examination.is_last_try = self._claim.failures >= _LAST_TRY
            examination.cap = self._learner.profile.cap
            return examination.perform()
        except PeerError as error:
            if not error.permanent:
                raise
            return failed_study(study.study_instance_uid, error)


class _OutcomeBuffer:
    """Outcomes of studies that are written together, but not held back for long."""

    def __init__(self, database: Database, claim: Claim, publish: PublishDecisions) -> None:
        self._database = database
        self._claim = claim
        self._publish = publish
        self._unsaved: list[Outcome] = []
        self._saved_at = time.monotonic()

    def add(self, *outcomes: Outcome) -> None:
        """Add outcomes."""
        self._unsaved += outcomes
        if time.monotonic() - self._saved_at >= _HOLD_S:
            self.save()

    def save(self) -> None:
        """Write what is unsaved, and publish it."""
        unsaved, self._unsaved = self._unsaved, []
        self._saved_at = time.monotonic()
        if unsaved:
            with self._database.write() as session:
                written = save_outcomes(session, self._claim.job_id, self._claim.task_id, unsaved)
            self._publish(self._claim.job_id, written)


def _compared(profile: Profile, study: StudyMatch, outcome: Outcome) -> Profile:
    """Learn whether the PACS counts right: a study may grow during its examination, but not shrink."""
    if isinstance(outcome, Missing):
        short = outcome.reason is Reason.FEWER_SERIES_THAN_ANNOUNCED
        return replace(profile, counts_trusted=False) if short else profile
    if study.series_count and profile.counts_trusted is None and len(outcome.series) == study.series_count:
        return replace(profile, counts_trusted=True)
    return profile
