"""How tasks of a query fail for good, and how a query ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType

from sqlalchemy.orm import Session

from services.query.examination.missing_studies import failed_study
from services.query.futile_search import FutileSearchError
from services.query.ledger.decisions import miss_undecided, save_outcomes
from services.query.ledger.slices import (
    fail_open_slices,
    fail_waiting_slices,
    first_failed_task,
    had_second_search,
    search_time,
    take_back_unproven,
)
from services.query.ledger.studies import add_counts, all_examinations, has_undecided, undecided
from services.query.search.key_controls import windows_without
from services.query.search.study_task import single_studies
from shared.contract.criteria import parse_criteria
from shared.contract.reasons import Reason
from shared.database.models import Query
from shared.database.session import Database
from shared.dicom.errors import ACCESS_REFUSALS, Outcome, PeerError
from shared.jobs.model import Claim, Ending, Result
from shared.jobs.new_task import NewTask
from shared.querying.initial_tasks import second_search_tasks
from shared.querying.payloads import (
    SLICE,
    StudyListSlice,
    WindowSlice,
    examine_tasks,
    read_examination,
    read_slice,
    slice_task,
)
from shared.querying.profile import Profile

#: A search that took less is believed to show one state of the archive.
LONG_SEARCH = timedelta(minutes=10)


def fail_task(database: Database, claim: Claim, error: PeerError) -> Result:
    """Return the result of a task that failed for good."""
    end_job = _end_of_job(database, claim, error)
    futile = isinstance(error, FutileSearchError)
    part = read_slice(claim.payload) if claim.kind == SLICE else None
    listed = part.study_instance_uids if isinstance(part, StudyListSlice) and end_job is None else ()

    def write(session: Session) -> Sequence[NewTask]:
        if listed:
            return single_studies(session, claim.job_id, listed)
        if claim.kind == SLICE:
            given_up = fail_waiting_slices(session, claim.job_id, error) if futile and end_job is None else 0
            add_counts(session, claim.job_id, slices_failed=1 + given_up)
        else:
            uids = read_examination(claim.payload).study_instance_uids
            left = [study.study_instance_uid for study in undecided(session, claim.job_id, uids)]
            if len(left) > 1 and end_job is None:
                # One study may be what the PACS fails at: the others must not be lost with it.
                return examine_tasks(left, at_once=1)
            missing = [failed_study(uid, error) for uid in left]
            save_outcomes(session, claim.job_id, claim.task_id, missing)
        if end_job is not None:
            _abandon(session, claim.job_id, str(error))
        return []

    state = "cut" if listed else "failed"
    return Result(write, state=state, error=error.code, detail=str(error), end_job=end_job)


def _end_of_job(database: Database, claim: Claim, error: PeerError) -> Ending | None:
    """Return the end of the whole query where no other task can do better than this one."""
    futile = isinstance(error, FutileSearchError)
    if not error.peer_away and not (error.associating and error.permanent) and not futile:
        return None
    with database.read() as session:
        query = session.get_one(Query, claim.job_id)
        has_result = query.slices_complete > 0 or query.studies_kept > 0
        if futile and has_undecided(session, claim.job_id):
            # Requests that failed have named studies, and these can be examined.
            return None
    return Ending("incomplete" if has_result else "failed", failure_of(error), str(error))


def _abandon(session: Session, job_id: str, detail: str) -> None:
    fail_open_slices(session, job_id)
    miss_undecided(session, job_id, Reason.STUDY_NOT_ANSWERED, detail)


def next_tasks_or_ending(session: Session, job_id: str, profile: Profile) -> Sequence[NewTask] | Ending:
    """Return examinations of undecided studies; with none, how the query ends according to its ledger."""
    unexamined = all_examinations(session, job_id)
    if unexamined:
        return unexamined
    rechecks = recheck_tasks(session, job_id, profile)
    if rechecks:
        return rechecks
    second_search = _second_search_tasks(session, job_id, profile)
    if second_search:
        return second_search
    query = session.get_one(Query, job_id, populate_existing=True)
    if not query.slices_failed and not query.studies_missing:
        return Ending("completed")
    failed = first_failed_task(session, job_id)
    if query.slices_complete or query.studies_kept or failed is None:
        return Ending("incomplete")
    return Ending("failed", _failure_of_code(failed.error), failed.detail)


def _failure_of_code(error: str) -> str:
    """Return the code of a job's failure after the error of a task."""
    if error.startswith("http_"):
        return Reason.HTTP_ERROR.value
    return Reason.STATUS_FAILURE.value if error.startswith("status_") else error


def recheck_tasks(session: Session, job_id: str, profile: Profile) -> Sequence[NewTask]:
    """Return the search of windows that were believed before it was known that they hide studies.

    Only while no task of the job is open: whatever its workers learned side by side is known by then.
    """
    habits = profile.habits_that_hide()
    if not habits:
        return []
    windows = dict.fromkeys(
        window
        for believed in take_back_unproven(session, job_id, habits, profile.cap)
        for window in windows_without(believed, profile) or [believed]
    )
    add_counts(session, job_id, slices_total=len(windows))
    return [slice_task(WindowSlice(window, rechecked=True)) for window in windows]


def _second_search_tasks(session: Session, job_id: str, profile: Profile) -> Sequence[NewTask]:
    """Return another search of the newest days, once, where the search took long.

    A study whose date is changed in the meantime, from days that are yet to be searched to days that were, is
    found in neither.
    """
    times = search_time(session, job_id)
    if times is None or times[1] - times[0] < LONG_SEARCH or had_second_search(session, job_id):
        return []
    query = session.get_one(Query, job_id)
    tasks = second_search_tasks(parse_criteria(query.criteria), query.today, profile)
    add_counts(session, job_id, slices_total=len(tasks))
    return tasks


_FAILURES: Mapping[Outcome, Reason] = MappingProxyType(
    {
        Outcome.HOST_NOT_FOUND: Reason.HOST_NOT_FOUND,
        Outcome.NOT_SUPPORTED: Reason.CONTEXT_NOT_ACCEPTED,
        Outcome.TIMED_OUT: Reason.TIMED_OUT,
        Outcome.NO_DICOMWEB: Reason.NO_DICOMWEB,
        Outcome.NOT_FOUND: Reason.NOT_FOUND,
        **dict.fromkeys(ACCESS_REFUSALS, Reason.ACCESS_REFUSED),
    }
)


def failure_of(error: PeerError) -> str:
    """Return the code of a job's failure after an error of a peer."""
    away = error.outcome is Outcome.TIMED_OUT and error.associating
    if away or error.outcome is Outcome.CONNECTION_REFUSED:
        return Reason.REMOTE_UNREACHABLE.value
    if error.outcome is Outcome.REJECTED:
        return (Reason.NODE_BUSY if error.congested else Reason.ASSOCIATION_REJECTED).value
    if error.outcome in _FAILURES:
        return _FAILURES[error.outcome].value
    if error.http_status is not None:
        return (Reason.NODE_BUSY if error.congested else Reason.HTTP_ERROR).value
    return (Reason.STATUS_FAILURE if error.status_code is not None else Reason.ABORTED).value
