"""Windows that are searched once more, because the node proved later that it hides studies by their keys."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from services.query.ledger.slices import take_back_unproven
from services.query.ledger.studies import add_counts
from services.query.search.key_controls import windows_without
from shared.database.models import NodeProfile, Query
from shared.jobs.new_task import NewTask
from shared.querying.payloads import WindowSlice, slice_task
from shared.querying.profile import Profile


def recheck_tasks(session: Session, job_id: str) -> Sequence[NewTask]:
    """Return the search of windows that were believed before it was known that they hide studies.

    Only while no task of the job is open: whatever its workers learned side by side is known by then.
    """
    row = session.get(NodeProfile, session.get_one(Query, job_id).remote_id)
    profile = Profile() if row is None else Profile.from_json(row.data)
    habits = profile.habits_that_hide()
    if not habits:
        return []
    windows = dict.fromkeys(
        window
        for believed in take_back_unproven(session, job_id, habits)
        for window in windows_without(believed, profile) or [believed]
    )
    add_counts(session, job_id, slices_total=len(windows))
    return [slice_task(WindowSlice(window, rechecked=True)) for window in windows]
