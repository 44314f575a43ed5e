"""The query service's tasks on the engine: slices, examinations, and how a query ends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from services.query.examination.examine_study import Decided, Missing, examine
from services.query.examination.pending_studies import all_examinations, study_days, undecided
from services.query.examination.prefetch import prefetch
from services.query.examination.unchanged_studies import unchanged
from services.query.find_scu import FindScu
from services.query.ledger.decisions import miss_the_rest, save_outcomes
from services.query.ledger.studies import (
    add_counts,
    add_finds,
    known_objects,
)
from services.query.profile.learner import Learner
from services.query.rules.decide import KnownObjects, StudyAnswer, StudyDecision
from services.query.search.found_studies import FoundStudies, PublishDecisions, QueryContext
from services.query.search.study_task import StudyTask, single_studies
from services.query.search.window_task import WindowTask
from shared.clock import Clock
from shared.contract.criteria import parse_criteria
from shared.contract.envelope import retrieve_id_after
from shared.contract.messages import JobKind, RunRetrieve, StudiesDecided, StudySummary
from shared.contract.reasons import Reason
from shared.database.models import Node, Query, QueryTask
from shared.database.session import Database
from shared.dicom.association.pynetdicom_association import Peer
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import UNREACHABLE, Outcome, PeerError
from shared.errors import BrokerAwayError
from shared.jobs.model import Claim, Ending, Result
from shared.jobs.new_task import NewTask
from shared.messaging.publisher import Publisher
from shared.node_access.pool import AssociationPool
from shared.nodes.peers import peer_of
from shared.querying.payloads import (
    SLICE,
    StudyListSlice,
    WindowSlice,
    examine_tasks,
    read_examination,
    read_slice,
)
from shared.querying.profile import Profile
from shared.reading.queries import by_type
from shared.settings import Settings

log = structlog.get_logger(__name__)

#: Decided studies that are told in one event.
_SUMMARIES_AT_ONCE = 200

#: Decided studies are written after so many seconds at the latest.
_HOLD_S = 1.0

#: Studies of one task that may fail before the others wait for its next try: the PACS itself may be ill.
_FAILURES_AT_ONCE = 3


class QueryJobService:
    """What the query service does with its tasks (`JobService`)."""

    kind: JobKind = "query"
    job_table = Query
    task_table = QueryTask

    def __init__(
        self,
        settings: Settings,
        database: Database,
        publisher: Publisher,
        pool: AssociationPool,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._database = database
        self._publisher = publisher
        self._pool = pool
        self._clock = clock

    def perform(self, claim: Claim, cancellation: Cancellation) -> Result:
        """Do the work of one task."""
        peer, node_id, context = self._context(claim.job_id)
        learner = Learner(self._database, node_id, peer, self._clock)
        scu = FindScu(self._pool, peer, cancellation, self._clock, learner)
        try:
            if claim.kind == SLICE:
                return self._slice(scu, learner, claim, context)
            return self._examine_all(scu, learner, claim, context)
        finally:
            self._record(claim, scu, learner)

    def _slice(self, scu: FindScu, learner: Learner, claim: Claim, context: QueryContext) -> Result:
        found_studies = FoundStudies(claim, context, self._publish)
        part = read_slice(claim.payload)
        if isinstance(part, WindowSlice):
            return WindowTask(self._database, scu, learner, claim, part, context, found_studies).perform()
        return StudyTask(scu, learner, claim, part, context, found_studies).perform()

    def _context(self, job_id: str) -> tuple[Peer, int, QueryContext]:
        with self._database.read() as session:
            query = session.get_one(Query, job_id)
            node = session.get_one(Node, query.remote_id)
            context = QueryContext(parse_criteria(query.criteria), query.today)
            return peer_of(node, self._settings), node.id, context

    def _record(self, claim: Claim, scu: FindScu, learner: Learner) -> None:
        with self._database.write() as session:
            add_finds(session, claim.job_id, claim.task_id, scu.records)
            learner.save_in(session)

    def _examine_all(self, scu: FindScu, learner: Learner, claim: Claim, context: QueryContext) -> Result:
        """Examine the studies of a task; those that fail do not stop the others, and are tried again."""
        with self._database.read() as session:
            uids = read_examination(claim.payload).study_instance_uids
            studies = undecided(session, claim.job_id, uids)
            days = study_days(session, claim.job_id, uids)
            known = known_objects(session, [study.study_instance_uid for study in studies])
            settled = self._settled(session, claim, context, learner, studies, known)
        prefetch(context.criteria, studies, days, known, scu, learner)
        outcomes = _Outcomes(self._database, claim, self._publish)
        outcomes.add(*(Decided(one) for one in settled))
        failures: list[PeerError] = []
        try:
            for study in studies:
                try:
                    outcome = self._examine_one(scu, context, study, known)
                except PeerError as error:
                    failures.append(error)
                    if error.associating or len(failures) == _FAILURES_AT_ONCE:
                        raise
                else:
                    learner.learn(partial(_compared, study=study, outcome=outcome))
                    outcomes.add(outcome)
        finally:
            outcomes.save()
        if failures:
            raise failures[-1]
        return Result(write=lambda _session: [])

    def _settled(
        self,
        session: Session,
        claim: Claim,
        context: QueryContext,
        learner: Learner,
        studies: list[StudyAnswer],
        known: dict[str, KnownObjects],
    ) -> list[StudyDecision]:
        """Take those out of `studies` that need no look, if the PACS counts right; return their decisions."""
        if not learner.profile.counts_trusted:
            return []
        settled = unchanged(session, claim.job_id, context.criteria, studies, known)
        uids = {one.study_instance_uid for one in settled}
        studies[:] = [study for study in studies if study.study_instance_uid not in uids]
        return settled

    def _examine_one(
        self, scu: FindScu, context: QueryContext, study: StudyAnswer, known: dict[str, KnownObjects]
    ) -> Decided | Missing:
        uid = study.study_instance_uid
        try:
            return examine(context.criteria, study, known.get(uid, KnownObjects()), scu)
        except PeerError as error:
            if not error.permanent:
                raise
            return Missing(uid, Reason.STUDY_NOT_ANSWERED, str(error))

    def _publish(self, job_id: str, decisions: Sequence[StudyDecision]) -> None:
        try:
            for start in range(0, len(decisions), _SUMMARIES_AT_ONCE):
                studies = [_summary(decision) for decision in decisions[start : start + _SUMMARIES_AT_ONCE]]
                self._publisher.event(StudiesDecided(job_id=job_id, studies=studies), "query", job_id)
        except BrokerAwayError as error:
            # The rows are the truth; this event only saves a reader from asking for them.
            log.warning("studies not told", job_id=job_id, error=str(error))

    def give_up(self, claim: Claim, error: PeerError) -> Result:
        """Say what it means that a task failed for good."""
        end_job = self._end_of_all(claim, error)
        part = read_slice(claim.payload) if claim.kind == SLICE else None
        listed = part.study_instance_uids if isinstance(part, StudyListSlice) and end_job is None else ()

        def write(session: Session) -> Sequence[NewTask]:
            if listed:
                return single_studies(session, claim.job_id, listed)
            if claim.kind == SLICE:
                add_counts(session, claim.job_id, slices_failed=1)
            else:
                uids = read_examination(claim.payload).study_instance_uids
                left = [study.study_instance_uid for study in undecided(session, claim.job_id, uids)]
                if len(left) > 1 and end_job is None:
                    # One study may be what the PACS cannot answer: the others must not be lost with it.
                    return examine_tasks(left, at_once=1)
                missing = [Missing(uid, Reason.STUDY_NOT_ANSWERED, str(error)) for uid in left]
                save_outcomes(session, claim.job_id, claim.task_id, missing)
            if end_job is not None:
                self._abandon(session, claim.job_id, str(error))
            return []

        state = "cut" if listed else "failed"
        return Result(write, state=state, error=error.code, detail=str(error), end_job=end_job)

    def _end_of_all(self, claim: Claim, error: PeerError) -> Ending | None:
        """Return the end of the whole query where no other task can do better than this one."""
        if not error.peer_away and not (error.associating and error.permanent):
            return None
        with self._database.read() as session:
            answered = session.get_one(Query, claim.job_id).slices_complete > 0
        return Ending("incomplete" if answered else "failed", failure_of(error), str(error))

    def _abandon(self, session: Session, job_id: str, detail: str) -> None:
        values = {"slices_failed": Query.slices_total - Query.slices_complete}
        session.execute(update(Query).where(Query.id == job_id).values(values))
        miss_the_rest(session, job_id, Reason.STUDY_NOT_ANSWERED, detail)

    def drained(self, session: Session, job_id: str) -> Sequence[NewTask] | Ending:
        """Examine what nobody has decided; otherwise end the query as its ledger says."""
        unexamined = all_examinations(session, job_id)
        if unexamined:
            return unexamined
        query = session.get_one(Query, job_id, populate_existing=True)
        if not query.slices_failed and not query.studies_missing:
            return Ending("completed")
        failed = self._first_failure(session, job_id)
        if query.slices_complete or failed is None:
            return Ending("incomplete")
        status = failed.error.startswith("status_")
        code = Reason.STATUS_FAILURE.value if status else failed.error
        return Ending("failed", code, failed.detail)

    def _first_failure(self, session: Session, job_id: str) -> QueryTask | None:
        return session.scalars(
            select(QueryTask)
            .where(QueryTask.job_id == job_id, QueryTask.state == "failed")
            .order_by(QueryTask.id)
            .limit(1)
        ).first()

    def counts(self, session: Session, job_id: str) -> dict[str, Any]:
        """Return the counts for events; those by type only once the query has ended."""
        query = session.get_one(Query, job_id, populate_existing=True)
        counts: dict[str, Any] = {
            "found": query.studies_found,
            "examined": query.studies_examined,
            "kept": query.studies_kept,
            "missing": query.studies_missing,
            "objects": query.objects_kept,
            "slices": {
                "total": query.slices_total,
                "complete": query.slices_complete,
                "failed": query.slices_failed,
            },
        }
        if query.ended_at is not None:
            counts["by_type"] = by_type(session, job_id)
        return counts

    def before_announcing(self, session: Session, job_id: str) -> None:
        """Order the retrieve that was asked for together with the query."""
        query = session.get_one(Query, job_id)
        if query.retrieve_after and query.status in ("completed", "incomplete") and query.studies_kept:
            order = RunRetrieve(query_id=job_id, requested_by=query.requested_by, priority=query.priority)
            self._publisher.command(order, command_id=retrieve_id_after(job_id, query.round))


class _Outcomes:
    """What came of the studies of one task: written together, but not held back for long."""

    def __init__(self, database: Database, claim: Claim, publish: PublishDecisions) -> None:
        self._database = database
        self._claim = claim
        self._publish = publish
        self._waiting: list[Decided | Missing] = []
        self._saved_at = time.monotonic()

    def add(self, *outcomes: Decided | Missing) -> None:
        """Take outcomes over."""
        self._waiting += outcomes
        if time.monotonic() - self._saved_at >= _HOLD_S:
            self.save()

    def save(self) -> None:
        """Write what waits, and tell it."""
        waiting, self._waiting = self._waiting, []
        self._saved_at = time.monotonic()
        if waiting:
            with self._database.write() as session:
                published = save_outcomes(session, self._claim.job_id, self._claim.task_id, waiting)
            self._publish(self._claim.job_id, published)


def _compared(profile: Profile, study: StudyAnswer, outcome: Decided | Missing) -> Profile:
    """Learn whether the PACS counts right: a study may grow while it is looked at, but not shrink."""
    if isinstance(outcome, Missing):
        short = outcome.reason is Reason.FEWER_SERIES_THAN_ANNOUNCED
        return replace(profile, counts_trusted=False) if short else profile
    if study.series_count and profile.counts_trusted is None and len(outcome.series) == study.series_count:
        return replace(profile, counts_trusted=True)
    return profile


def _summary(decision: StudyDecision) -> StudySummary:
    return StudySummary(
        study_instance_uid=decision.study_instance_uid,
        type=decision.type,
        decision=decision.decision.value,
        reason=decision.reason.value,
    )


def failure_of(error: PeerError) -> str:
    """Return the code of a job's failure for what a peer did."""
    if error.outcome is Outcome.HOST_NOT_FOUND:
        return Reason.HOST_NOT_FOUND.value
    if error.outcome in UNREACHABLE or (error.outcome is Outcome.TIMED_OUT and error.associating):
        return Reason.REMOTE_UNREACHABLE.value
    if error.outcome is Outcome.REJECTED:
        return (Reason.NODE_BUSY if error.congested else Reason.ASSOCIATION_REJECTED).value
    if error.outcome is Outcome.NOT_SUPPORTED:
        return Reason.CONTEXT_NOT_ACCEPTED.value
    if error.outcome is Outcome.TIMED_OUT:
        return Reason.TIMED_OUT.value
    return (Reason.STATUS_FAILURE if error.status_code is not None else Reason.ABORTED).value
