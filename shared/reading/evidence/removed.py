"""The best decisions of queries that retention has removed, read from what is left of their studies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from shared.contract.reasons import Reason
from shared.database.models import NodeStudy, RetrieveObject, StoredObject
from shared.evidence.folded_study import read_folded

#: What sorts decisions, the most informative first: as `best_decisions` does.
DecisionOrder = tuple[bool, bool, bool, float]


def decision_order(
    type_name: str | None, reason: str, requested_at: datetime, *, is_settled: bool
) -> DecisionOrder:
    """Return where a decision stands among those on its study."""
    return (not is_settled, type_name is None, reason == Reason.KNOWN, -requested_at.timestamp())


@dataclass(frozen=True, slots=True)
class RemovedDecision:
    """The best decision on a study, of a query that is removed."""

    settled: bool
    type: str | None
    reason: str
    requested_at: datetime
    accession_number: str
    keeps: bool
    arrived: bool

    @property
    def order(self) -> DecisionOrder:
        """Where it stands among all decisions on its study."""
        return decision_order(self.type, self.reason, self.requested_at, is_settled=self.settled)


def removed_decisions(
    session: Session, node_id: int, uids: Sequence[str] = (), accession_numbers: Sequence[str] = ()
) -> dict[str, RemovedDecision]:
    """Return the best decisions on studies with these UIDs or numbers, where that is of a removed query."""
    named = or_(NodeStudy.study_instance_uid.in_(uids), NodeStudy.accession_number.in_(accession_numbers))
    which = (NodeStudy.remote_id == node_id, NodeStudy.folded.is_not(None), NodeStudy.job_id == "")
    rows = session.scalars(select(NodeStudy).where(named, *which)).all()
    have = _series_of(session, [row.study_instance_uid for row in rows])
    found = {}
    for row in rows:
        folded = read_folded(row.folded or "")
        found[row.study_instance_uid] = RemovedDecision(
            row.settled,
            row.type,
            row.reason,
            row.requested_at,
            row.accession_number.strip(),
            folded.keeps,
            folded.has_arrived(have[row.study_instance_uid]),
        )
    return found


def _series_of(session: Session, uids: Sequence[str]) -> defaultdict[str, dict[str, str]]:
    """Return the objects of these studies that are stored or have arrived: series by object, by study."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    if not uids:
        return found
    for table, which in (
        (StoredObject, StoredObject.study_instance_uid.in_(uids)),
        (RetrieveObject, RetrieveObject.study_instance_uid.in_(uids) & (RetrieveObject.state == "arrived")),
    ):
        columns = (table.study_instance_uid, table.sop_instance_uid, table.series_instance_uid)
        for study, uid, series in session.execute(select(*columns).where(which)):
            found[study][uid] = series
    return found
