"""Changes of a node's days: numbers, proofs, and the software versions that reports name.

Reports are read when their studies have long been added up, so their versions are added later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from shared.database.models import NodeDay, NodeStudy, ReportSummary, StoredObject, Tally
from shared.database.upsert import insert_missing
from shared.evidence.day_proof import DaySearch
from shared.evidence.day_tally import (
    CodeProof,
    DayTally,
    Version,
    proofs_json,
    read_numbers,
    read_proofs,
    read_versions,
    versions_json,
)
from shared.evidence.study_tally import StudyTally
from shared.reading.evidence.software import names_software
from shared.reading.evidence.studies import batches
from shared.reading.evidence.tallies import read_study, tally_name

#: Reports of one transaction.
_REPORTS_AT_ONCE = 500
#: The moment of a report lies before that of its transaction: those of the last minute are read again.
_OVERLAP = timedelta(minutes=1)
_REPORTS = "reports"


def lock_node(session: Session, node_id: int) -> None:
    """Take the lock of a node's numbers, and note that they change."""
    insert_missing(session, Tally, [{"name": tally_name(node_id), "version": 0}])
    session.execute(update(Tally).where(Tally.name == tally_name(node_id)).values(version=Tally.version + 1))


class NodeDays:
    """The days of a node that a transaction changes; whoever makes one holds the lock of the node."""

    def __init__(self, session: Session, node_id: int, days: Collection[date]) -> None:
        self._session = session
        self._node_id = node_id
        self._numbers: dict[date, DayTally] = {}
        self._proofs: dict[date, dict[str, CodeProof]] = {}
        self._folded: dict[date, dict[str, CodeProof]] = {}
        self._versions: dict[date, set[Version]] = {}
        self._known: set[date] = set()
        for some in batches(sorted(days)):
            # With the list alone PostgreSQL may read all days of the node.
            near = (NodeDay.day >= some[0], NodeDay.day <= some[-1])
            which = (NodeDay.remote_id == node_id, *near, NodeDay.day.in_(some))
            for row in session.scalars(select(NodeDay).where(*which)):
                self._numbers[row.day] = read_numbers(row.numbers)
                self._proofs[row.day] = read_proofs(row.proofs)
                self._folded[row.day] = read_proofs(row.folded_proofs or {})
                self._versions[row.day] = read_versions(row.versions)
                self._known.add(row.day)

    def note(self, day: date, has_accession_number: bool) -> None:
        """Note that a query found a study of the day."""
        self._numbers.setdefault(day, DayTally()).note(has_accession_number)

    def replace(self, before: StudyTally | None, after: StudyTally) -> None:
        """Count a study as it is now instead of as it was."""
        for number in before.numbers() if before is not None else ():
            self._numbers.setdefault(number.day, DayTally()).add(number, -1)
        for number in after.numbers():
            self._numbers.setdefault(number.day, DayTally()).add(number)

    def prove(self, search: DaySearch, day: date) -> None:
        """Add what an ended query proves of one of its days."""
        search = search.on(day)
        proofs = self._proofs.setdefault(day, {})
        for code in search.codes:
            proofs[code] = proofs.get(code, CodeProof()).with_search(search, day, code)

    def forget_proofs(self, day: date) -> None:
        """Forget what is proven of a day, but for what removed queries prove: they are not read again."""
        self._proofs[day] = dict(self._folded.get(day, {}))

    def fold(self, search: DaySearch, day: date) -> None:
        """Keep what a query that is about to be removed proves of one of its days."""
        search = search.on(day)
        self.prove(search, day)
        folded = self._folded.setdefault(day, {})
        for code in search.codes:
            folded[code] = folded.get(code, CodeProof()).with_search(search, day, code)

    def add_versions(self, day: date, versions: Iterable[Version]) -> None:
        """Add software versions that reports of the day name."""
        self._versions.setdefault(day, set()).update(versions)

    def save(self) -> None:
        """Write the days."""
        rows = [self._row(day) for day in sorted({*self._numbers, *self._proofs, *self._versions})]
        new = [row for row in rows if row["day"] not in self._known]
        old = [row for row in rows if row["day"] in self._known]
        if new:
            self._session.execute(insert(NodeDay), new)
        if old:
            self._session.execute(update(NodeDay), old)

    def _row(self, day: date) -> dict[str, object]:
        return {
            "remote_id": self._node_id,
            "day": day,
            "numbers": self._numbers.get(day, DayTally()).numbers_json(),
            "proofs": proofs_json(self._proofs.get(day, {})),
            "versions": versions_json(self._versions.get(day, ())),
            "folded_proofs": proofs_json(folded) if (folded := self._folded.get(day)) else None,
        }


# Versions of reports that were read since


def add_versions(session: Session, now: datetime) -> bool:
    """Add the versions of reports read since the last time; return whether there are more."""
    insert_missing(session, Tally, [{"name": _REPORTS, "version": 0, "read_until": now}])
    state = session.scalars(select(Tally).where(Tally.name == _REPORTS).with_for_update()).one()
    version = ReportSummary.summary["software_versions"].as_string()
    rows = session.execute(
        select(ReportSummary.read_at, StoredObject.study_instance_uid, version)
        .join(StoredObject, StoredObject.sop_instance_uid == ReportSummary.sop_instance_uid)
        .where(ReportSummary.read_at > state.read_until)
        .order_by(ReportSummary.read_at)
        .limit(_REPORTS_AT_ONCE)
    ).all()
    if not rows:
        return False
    named: defaultdict[str, set[str]] = defaultdict(set)
    for _, uid, text in rows:
        if text is not None:
            named[uid].add(text)
    _add_named(session, named)
    read_until = min(rows[-1].read_at, now - _OVERLAP)
    more = len(rows) == _REPORTS_AT_ONCE and read_until > (state.read_until or read_until)
    session.execute(
        update(Tally)
        .where(Tally.name == _REPORTS)
        .values(read_until=max(read_until, state.read_until or now))
    )
    return more


def _add_named(session: Session, named: defaultdict[str, set[str]]) -> None:
    by_node: defaultdict[int, defaultdict[date, set[Version]]] = defaultdict(lambda: defaultdict(set))
    for row in session.scalars(select(NodeStudy).where(NodeStudy.study_instance_uid.in_(named))):
        if row.day is not None and row.type is not None and names_software(read_study(row)):
            versions = {(row.type, row.station, version) for version in named[row.study_instance_uid]}
            by_node[row.remote_id][row.day] |= versions
    for node_id in sorted(by_node):
        lock_node(session, node_id)
        days = NodeDays(session, node_id, by_node[node_id])
        for day, versions in by_node[node_id].items():
            days.add_versions(day, versions)
        days.save()
