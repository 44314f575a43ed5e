"""What is stored of studies as headers, and what whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.database.models import StoredObject
from shared.database.models.store import HEADERS
from shared.reading.evidence.studies import batches


@dataclass(slots=True)
class StoredCounts:
    """The stored objects of a study."""

    whole: int = 0
    headers: int = 0


def stored_counts(session: Session, study_instance_uids: Sequence[str]) -> defaultdict[str, StoredCounts]:
    """Return how many objects are stored of each of these studies."""
    found: defaultdict[str, StoredCounts] = defaultdict(StoredCounts)
    row = StoredObject
    for uids in batches(study_instance_uids):
        of_studies = select(row.study_instance_uid, row.content, func.count()).where(
            row.study_instance_uid.in_(uids)
        )
        for uid, content, number in session.execute(of_studies.group_by(row.study_instance_uid, row.content)):
            if content == HEADERS:
                found[uid].headers = number
            else:
                found[uid].whole += number
    return found
