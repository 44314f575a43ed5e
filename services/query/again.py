"""Asking an ended query again: only what the PACS did not answer, or was not asked for, is asked."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from shared.database.models import Node, Query, QueryStudy
from shared.errors import InvalidInputError
from shared.jobs.ledger import Ledger
from shared.querying.payloads import SLICE


def reopen(session: Session, ledger: Ledger, query: Query, now: datetime) -> None:
    """Make the slices that were not answered and the missing studies of a locked query open again.

    What was decided stays. Studies that nobody has decided are examined once the slices are answered.

    Raises:
        InvalidInputError: its remote node was removed.
    """
    node = session.get(Node, query.remote_id)
    if node is None or node.removed_at is not None:
        raise InvalidInputError("data.job_id", "the remote node of this query was removed")
    ledger.retry(session, query.id, SLICE, now)
    missing = (QueryStudy.job_id == query.id, QueryStudy.state == "missing")
    blank = {"reason": "", "detail": "", "task_id": None}
    session.execute(update(QueryStudy).where(*missing).values(state="found", **blank))
    query.slices_failed = query.studies_missing = 0
