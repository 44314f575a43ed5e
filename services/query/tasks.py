"""The query service's tasks on the engine: the search of slices, the examination of studies, the ending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy.orm import Session

from services.query.completion import fail_task, next_tasks_or_ending
from services.query.context import QueryContext, TaskScope, publish_decisions
from services.query.examination.examine_task import ExamineTask
from services.query.find_scu import FindScu
from services.query.futile_search import FailureLimit
from services.query.ledger.finds import FindLog
from services.query.ledger.slices import end_head_start
from services.query.ledger.studies import query_with_node
from services.query.ledger.study_probe import ProbeLedger
from services.query.profile.learner import Learner
from services.query.search.found_studies import FoundStudies
from services.query.search.study_task import StudyTask
from services.query.search.window_task import WindowTask
from shared.clock import Clock
from shared.contract.criteria import parse_criteria
from shared.contract.envelope import retrieve_id_after
from shared.contract.json_types import JsonDocument, JsonObject
from shared.contract.messages import JobKind, RunRetrieve
from shared.database.models import Node, Query, QueryTask
from shared.database.models.store import HEADERS
from shared.database.session import Database
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import NotNowError, PeerError
from shared.dicom.peer import Peer
from shared.jobs.model import Claim, Ending, Result
from shared.jobs.new_task import NewTask
from shared.messaging.publisher import Publisher
from shared.node_access.pool import AssociationPool
from shared.node_profiles.ledger import read_profile
from shared.nodes.nodes import is_own_store
from shared.nodes.peers import peer_of
from shared.querying.initial_tasks import gives_head_start
from shared.querying.payloads import SLICE, WindowSlice, read_slice
from shared.reading.query_json import by_type
from shared.settings import Settings


class QueryJobService:
    """The tasks of the query service (`JobService`)."""

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
        log = FindLog(self._database, claim)
        # Whatever it was given ended with its first failure.
        head_start = not claim.failures and gives_head_start(context.criteria, learner.profile)
        limit = FailureLimit(log, self._clock, patience_s=sum(self._settings.retry_pauses))
        scu = FindScu(self._pool, peer, cancellation, self._clock, learner, log, limit)
        if claim.kind == SLICE:
            limit.admit_task()
        try:
            return self._task(TaskScope(claim, context, scu, learner, limit)).perform()
        except NotNowError:
            raise
        except PeerError:
            if claim.kind == SLICE and head_start:
                # Its next try may be a while ahead: others need not wait for what it would have learned.
                with self._database.write() as session:
                    end_head_start(session, claim)
            raise
        finally:
            if not log.is_saved or learner.has_lessons:
                with self._database.write() as session:
                    log.save_in(session)
                    learner.save_in(session)

    def _task(self, task: TaskScope) -> WindowTask | StudyTask | ExamineTask:
        claim, publish = task.claim, partial(publish_decisions, self._publisher)
        if claim.kind != SLICE:
            return ExamineTask(self._database, task, publish)
        part, found_studies = read_slice(claim.payload), FoundStudies(claim, task.context, publish)
        if isinstance(part, WindowSlice):
            probe = ProbeLedger(self._database, claim, self._clock)
            return WindowTask(self._database, task, part, found_studies, probe)
        return StudyTask(task, part, found_studies)

    def _context(self, job_id: str) -> tuple[Peer, int, QueryContext]:
        with self._database.read_outside() as session:
            query, node = query_with_node(session, job_id)
            context = QueryContext(
                parse_criteria(query.criteria),
                query.today,
                query.round,
                of_schedule=query.schedule_id is not None,
                headers_count=node.retrieve_content == HEADERS
                and is_own_store(session.get_one(Node, query.store_id), self._settings),
            )
            return peer_of(node, self._settings), node.id, context

    def give_up(self, claim: Claim, error: PeerError) -> Result:
        """Return the result of a task that failed for good."""
        return fail_task(self._database, claim, error)

    def drained(self, session: Session, job_id: str) -> Sequence[NewTask] | Ending:
        """Return what follows once no task of a query is open."""
        node = session.get_one(Node, session.get_one(Query, job_id).remote_id)
        profile = read_profile(session, node.id, peer_of(node, self._settings))
        return next_tasks_or_ending(session, job_id, profile)

    def counts(self, session: Session, job_id: str) -> JsonObject:
        """Return the counts for events; those by type only once the query has ended."""
        query = session.get_one(Query, job_id, populate_existing=True)
        counts: JsonObject = {
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
            counts["by_type"] = {**by_type(session, job_id)}
        return counts

    def before_announcing(self, session: Session, job_id: str) -> None:
        """Publish the command for the retrieve that was requested together with the query."""
        query = session.get_one(Query, job_id)
        retrieve_id = retrieve_of(query)
        if retrieve_id:
            command = RunRetrieve(query_id=job_id, requested_by=query.requested_by, priority=query.priority)
            causation = replace(query.causation, cause_id=job_id)
            self._publisher.command(command, command_id=retrieve_id, causation=causation)

    def ending_fields(self, session: Session, job_id: str) -> JsonDocument:
        """Return the retrieve that follows, if one was requested with the query."""
        query = session.get_one(Query, job_id)
        return {"retrieve_id": retrieve_of(query)} if query.retrieve_after else {}


def retrieve_of(query: Query) -> str:
    """Return the id of the retrieve that follows an ended query; empty if none does."""
    follows = query.retrieve_after and query.status in ("completed", "incomplete") and query.studies_kept
    return retrieve_id_after(query.id, query.round) if follows else ""
