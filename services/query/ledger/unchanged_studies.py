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
from shared.database.models import NodeStudy, Query, QueryObject, QuerySeries, QueryStudy
from shared.dicom.query.matches import StudyMatch
from shared.evidence.folded_study import read_folded, terms_digest
from shared.reading.evidence.studies import batches

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
    query = session.get_one(Query, job_id)
    earlier = _earlier(session, query, criteria, counted)
    types = {
        uid: row.type
        for uid, row in earlier.items()
        if row is not None and _all_known(session, row.job_id, uid, known[uid])
    }
    removed = {uid: study for uid, study in counted.items() if uid not in earlier}
    types |= _folded(session, query, removed, known)
    return [
        StudyDecision(uid, type_name, Decision.DROP, Reason.KNOWN, Reason.UNCHANGED_SINCE)
        for uid, type_name in types.items()
    ]


def terms_of(criteria: Mapping[str, object], rules_version: int) -> str:
    """Return the digest of what decides which objects of a study are kept."""
    return terms_digest(_kind(criteria), rules_version)


def _folded(
    session: Session,
    query: Query,
    studies: Mapping[str, StudyMatch],
    known: Mapping[str, KnownObjects],
) -> dict[str, str | None]:
    """Return the types of those of these studies that removed queries have settled, and that are known."""
    terms = terms_of(query.criteria, RULES_VERSION)
    found: dict[str, str | None] = {}
    for uids in batches(sorted(studies)):
        of_node = (NodeStudy.remote_id == query.remote_id, NodeStudy.study_instance_uid.in_(uids))
        for row in session.scalars(select(NodeStudy).where(*of_node, NodeStudy.folded.is_not(None))):
            study, kept = studies[row.study_instance_uid], read_folded(row.folded or "").kept
            if (
                kept is not None
                and kept.terms == terms
                and (kept.series_count, kept.instance_count) == (study.series_count, study.instance_count)
                and kept.all_in(known[row.study_instance_uid].series_of)
            ):
                found[row.study_instance_uid] = row.type
    return found


def _earlier(
    session: Session, query: Query, criteria: Criteria, studies: Mapping[str, StudyMatch]
) -> dict[str, SettledRow | None]:
    """Return the latest decision on each study of the same size under the same criteria.

    None: the latest one was on another size or under others.
    """
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
            QueryStudy.job_id != query.id,
            QueryStudy.state == "decided",
            or_(QueryStudy.decision == Decision.KEEP, QueryStudy.reason == Reason.KNOWN),
            QueryStudy.note != Reason.UNCHANGED_SINCE,
            Query.remote_id == query.remote_id,
            Query.rules_version == RULES_VERSION,
        )
        .order_by(Query.requested_at)
    )
    own = criteria.to_json()
    found: dict[str, SettledRow | None] = {}
    for row in rows:
        now = studies[row.study_instance_uid]
        same_size = (row.series_count, row.instance_count) == (now.series_count, now.instance_count)
        stands = same_size and selects_alike(row.criteria, own)
        found[row.study_instance_uid] = row if stands else None
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
