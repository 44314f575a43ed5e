"""Studies that need no examination: as large as when an earlier query settled them, and known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import Row, or_, select
from sqlalchemy.orm import Session

from services.query.rules.decide import RULES_VERSION
from services.query.rules.model import Decision, KnownObjects, StudyDecision
from shared.contract.criteria import STUDY_SELECTION, Criteria
from shared.contract.json_types import JsonObject
from shared.contract.reasons import Reason
from shared.database.models import Query, QueryObject, QuerySeries, QueryStudy
from shared.dicom.query.matches import StudyMatch

#: Job, study, type, counts of series and objects, criteria.
SettledRow = Row[str, str, str | None, int | None, int | None, JsonObject]


def unchanged(
    session: Session,
    job_id: str,
    criteria: Criteria,
    studies: Sequence[StudyMatch],
    known: Mapping[str, KnownObjects],
) -> list[StudyDecision]:
    """Return decisions on the studies that an earlier query of the same kind has settled."""
    if not criteria.ignore_known:
        return []
    counted = {
        study.study_instance_uid: study
        for study in studies
        if study.series_count and study.instance_count and study.study_instance_uid in known
    }
    earlier = _earlier(session, job_id, criteria, counted)
    return [
        StudyDecision(uid, row.type, Decision.DROP, Reason.KNOWN, Reason.UNCHANGED_SINCE)
        for uid, row in earlier.items()
        if _all_known(session, row.job_id, uid, known[uid])
    ]


def _earlier(
    session: Session, job_id: str, criteria: Criteria, studies: Mapping[str, StudyMatch]
) -> dict[str, SettledRow]:
    """Return the latest decision on each study of the same size under the same criteria."""
    query = session.get_one(Query, job_id)
    rows = session.execute(
        select(
            QueryStudy.job_id,
            QueryStudy.study_instance_uid,
            QueryStudy.type,
            QueryStudy.series_count,
            QueryStudy.instance_count,
            Query.criteria,
        )
        .join(Query, Query.id == QueryStudy.job_id)
        .where(
            QueryStudy.study_instance_uid.in_(studies),
            QueryStudy.job_id != job_id,
            QueryStudy.state == "decided",
            or_(QueryStudy.decision == Decision.KEEP, QueryStudy.reason == Reason.KNOWN),
            QueryStudy.note != Reason.UNCHANGED_SINCE,
            Query.remote_id == query.remote_id,
            Query.rules_version == RULES_VERSION,
        )
        .order_by(Query.requested_at)
    )
    own = criteria.to_json()
    found: dict[str, SettledRow] = {}
    for row in rows:
        now = studies[row.study_instance_uid]
        same_size = (row.series_count, row.instance_count) == (now.series_count, now.instance_count)
        if same_size and selects_alike(row.criteria, own):
            found[row.study_instance_uid] = row
        else:
            found.pop(row.study_instance_uid, None)
    return found


def selects_alike(criteria: Mapping[str, object], others: Mapping[str, object]) -> bool:
    """Return whether both keep the same of a study, whichever studies they are for."""
    return _kind(criteria) == _kind(others)


def _kind(criteria: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in criteria.items() if name not in STUDY_SELECTION}


def _all_known(session: Session, job_id: str, study_instance_uid: str, known: KnownObjects) -> bool:
    """Return whether all that a query kept of a study, or dropped as known, is known now."""
    objects = session.execute(
        select(QueryObject.series_instance_uid, QueryObject.sop_instance_uid).where(
            QueryObject.job_id == job_id,
            QueryObject.study_instance_uid == study_instance_uid,
            or_(QueryObject.decision == Decision.KEEP, QueryObject.reason == Reason.KNOWN),
        )
    ).all()
    whole = session.execute(
        select(QuerySeries.series_instance_uid, QuerySeries.instance_count).where(
            QuerySeries.job_id == job_id,
            QuerySeries.study_instance_uid == study_instance_uid,
            QuerySeries.decision == Decision.KEEP,
            QuerySeries.whole,
        )
    ).all()
    if not objects and not whole:
        return False
    named = {series for series, _ in objects}
    in_series = Counter(known.series_of.values())
    return all(known.has(uid) for _, uid in objects) and all(
        series in named or (count is not None and in_series[series] >= count) for series, count in whole
    )
