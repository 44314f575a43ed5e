"""The software versions that the dose reports of studies name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database.models import ReportSummary, StoredObject
from shared.evidence.coverage import UNKNOWN_STATION, Source
from shared.evidence.study_tally import KNOWN_SOURCE, StudyTally
from shared.reading.evidence.studies import batches

_WITH_REPORT = (Source.REPORT.value, KNOWN_SOURCE)


def names_software(tally: StudyTally) -> bool:
    """Return whether the reports of a study tell the software of its station."""
    best = tally.best
    has_station = best.type is not None and best.station != UNKNOWN_STATION
    return best.settled and has_station and best.source in _WITH_REPORT


def software_versions(session: Session, tallies: Mapping[str, StudyTally]) -> dict[str, set[str]]:
    """Return the software versions that the reports of each study name, as far as they are read."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    version = ReportSummary.summary["software_versions"].as_string()
    for uids in batches(sorted(uid for uid, tally in tallies.items() if names_software(tally))):
        rows = session.execute(
            select(StoredObject.study_instance_uid, version)
            .join(ReportSummary, ReportSummary.sop_instance_uid == StoredObject.sop_instance_uid)
            .where(StoredObject.study_instance_uid.in_(uids), version.is_not(None))
        )
        for uid, text in rows:
            found[uid].add(text)
    return found
