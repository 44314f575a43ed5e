"""What is not known of the objects that a query keeps."""

from __future__ import annotations

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from shared.database.models.query import QuerySeries


def has_uncounted_series(session: Session, query_id: str) -> bool:
    """Return whether a query keeps series whose number of objects the PACS does not return."""
    series = QuerySeries
    uncounted = exists().where(
        series.job_id == query_id,
        series.decision == "keep",
        series.whole,
        series.instance_count.is_(None),
    )
    return bool(session.scalar(select(uncounted)))
