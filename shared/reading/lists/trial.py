"""One study of a node that a retrieve could fetch, to try whether its PACS sends anything."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.contract.messages import ENDED
from shared.database.models import Query, QueryStudy, Retrieve


@dataclass(frozen=True, slots=True)
class Trial:
    """The study, its query, and the newest retrieve of the node if there is one."""

    query_id: str
    study_instance_uid: str
    retrieve: Retrieve | None


def trial_of(session: Session, node_id: int) -> Trial | None:
    """Return the study with the fewest objects of the newest query that kept any; None if there is none."""
    newest = (
        select(Query.id)
        .where(Query.remote_id == node_id, Query.studies_kept > 0, Query.status.in_(ENDED))
        .order_by(Query.requested_at.desc(), Query.id)
        .limit(1)
    )
    query_id = session.scalar(newest)
    uid = session.scalar(
        select(QueryStudy.study_instance_uid)
        .where(QueryStudy.job_id == query_id, QueryStudy.decision == "keep")
        .order_by(QueryStudy.instance_count.is_(None), QueryStudy.instance_count)
        .limit(1)
    )
    if query_id is None or uid is None:
        return None
    last = select(Retrieve).where(Retrieve.remote_id == node_id).order_by(Retrieve.requested_at.desc())
    return Trial(query_id, uid, session.scalars(last.limit(1)).first())
