"""The numbers and proofs of a node's days: what is added up, and what ended or running queries add to it.

Queries are added up after they have ended (services/query/ledger/tally). Those that are not, because they
run, have just ended, or were done by workers of a version that adds nothing up, are read from their ledger.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session

from shared.database.models import NodeDay, NodeStudy, Query, QueryStudy, Tally
from shared.database.models.query import UNTALLIED
from shared.evidence.day_proof import DayProofs, EndOfDay, prove_days
from shared.evidence.day_tally import DayTally, Version, read_numbers, read_proofs, read_versions
from shared.evidence.study_tally import Finding, StudyTally, read_open_types
from shared.reading.evidence.findings import FoundStudy, found_studies, tallies_of
from shared.reading.evidence.searches import of_days, searches
from shared.reading.evidence.software import software_versions
from shared.reading.evidence.studies import batches, da

#: Readings until nothing was added up in between.
_READINGS = 5
#: Queries that are named one by one in a statement; more are named by what they have in common.
_NAMED_QUERIES = 500


@dataclass(slots=True)
class NodeNumbers:
    """The numbers of some days of a node."""

    days: dict[date, DayTally] = field(default_factory=dict)
    versions: set[Version] = field(default_factory=set)
    #: The studies of queries that are not added up, as they are with them.
    changed: dict[str, StudyTally] = field(default_factory=dict)

    def day(self, day: date) -> DayTally:
        """Return the numbers of a day."""
        return self.days.setdefault(day, DayTally())


def tally_name(node_id: int) -> str:
    """Return the name of the tally of a node."""
    return f"node {node_id}"


def node_numbers(session: Session, node_id: int, first: date, last: date) -> NodeNumbers:
    """Return the numbers of the days from `first` to `last`."""
    found = NodeNumbers()
    for _ in range(_READINGS):
        version = _version(session, node_id)
        found = _read(session, node_id, first, last)
        if _version(session, node_id) == version:
            break
    return found


def node_proofs(session: Session, node_id: int, first: date, last: date, end_of_day: EndOfDay) -> DayProofs:
    """Return what all queries prove of the days from `first` to `last`."""
    # First those that are not added up: one that is in between counts twice, which changes nothing.
    live = searches(session, *of_days(node_id, first, last), or_(UNTALLIED, Query.open_search))
    rows = session.execute(select(NodeDay.day, NodeDay.proofs).where(*_days(node_id, first, last)))
    proven: DayProofs = {
        (day, code): proof.proof(end_of_day(day))
        for day, kept in rows
        for code, proof in read_proofs(kept).items()
    }
    return prove_days(live, first, last, end_of_day, proven)


def study_tallies(session: Session, node_id: int, uids: Collection[str]) -> dict[str, StudyTally]:
    """Return what is added up of these studies."""
    found = {}
    for some in batches(sorted(uids)):
        rows = session.scalars(
            select(NodeStudy).where(NodeStudy.study_instance_uid.in_(some), NodeStudy.remote_id == node_id)
        )
        found.update({row.study_instance_uid: read_study(row) for row in rows})
    return found


def read_study(row: NodeStudy) -> StudyTally:
    """Return what a row holds."""
    finding = Finding(
        row.job_id,
        row.requested_at,
        row.settled,
        row.type,
        row.reason,
        row.day,
        row.study_time,
        row.station,
        row.accession_number,
    )
    return StudyTally(finding, frozenset(row.settled_types.split()), read_open_types(row.open_types))


def recomputed(
    session: Session, node_id: int, uids: Iterable[str], *which: ColumnElement[bool]
) -> dict[str, StudyTally]:
    """Return what these of the node's queries found of these studies, read from their ledgers.

    What retention has removed is not in them: there, what is added up counts too.
    """
    of_node = QueryStudy.job_id.in_(select(Query.id).where(Query.remote_id == node_id, *which))
    found: dict[str, StudyTally] = {}
    for some in batches(sorted(uids)):
        found |= tallies_of(found_studies(session, QueryStudy.study_instance_uid.in_(some), of_node))
        added_up = (NodeStudy.study_instance_uid.in_(some), NodeStudy.remote_id == node_id)
        for row in session.scalars(select(NodeStudy).where(*added_up, NodeStudy.folded.is_not(None))):
            folded, uid = read_study(row), row.study_instance_uid
            found[uid] = found[uid].merged(folded) if uid in found else folded
    return found


def _version(session: Session, node_id: int) -> int | None:
    return session.scalar(select(Tally.version).where(Tally.name == tally_name(node_id)))


def _days(node_id: int, first: date, last: date) -> tuple[ColumnElement[bool], ...]:
    return (NodeDay.remote_id == node_id, NodeDay.day.between(first, last))


def _read(session: Session, node_id: int, first: date, last: date) -> NodeNumbers:
    found = NodeNumbers()
    columns = (NodeDay.day, NodeDay.numbers, NodeDay.versions)
    for day, numbers, versions in session.execute(select(*columns).where(*_days(node_id, first, last))):
        found.days[day] = read_numbers(numbers)
        found.versions |= read_versions(versions)
    pending = _pending(session, node_id, first, last)
    if not pending:
        return found
    studies = _pending_studies(session, node_id, first, last, pending)
    before = study_tallies(session, node_id, {study.study_instance_uid for study in studies})
    found.changed = _changed(session, node_id, studies, before, pending)
    for uid, tally in found.changed.items():
        for number in before[uid].numbers() if uid in before else ():
            found.day(number.day).add(number, -1)
        for number in tally.numbers():
            found.day(number.day).add(number)
    for study in studies:
        if study.day is not None:
            found.day(study.day).note(study.has_accession_number)
    for uid, named in software_versions(session, found.changed).items():
        best = found.changed[uid].best
        found.versions |= {(best.type or "", best.station, version) for version in named}
    return found


def _pending(session: Session, node_id: int, first: date, last: date) -> Mapping[str, bool]:
    """Return the queries that are not added up, and whether those of an earlier round are."""
    rows = session.execute(
        select(Query.id, Query.tallied_round).where(*of_days(node_id, first, last), UNTALLIED)
    )
    return {job_id: tallied_round is not None for job_id, tallied_round in rows}


def _pending_studies(
    session: Session, node_id: int, first: date, last: date, pending: Mapping[str, bool]
) -> Sequence[FoundStudy]:
    of_queries: list[str] | Select[str] = list(pending)
    if len(pending) > _NAMED_QUERIES:
        of_queries = select(Query.id).where(*of_days(node_id, first, last), UNTALLIED)
    written = QueryStudy.study_date
    within = and_(written >= da(first), written < da(last) + "~")
    # One without a date may settle a study of which another query returned the date.
    which = or_(within, written.is_(None), written == "")
    return list(found_studies(session, QueryStudy.job_id.in_(of_queries), which))


def _changed(
    session: Session,
    node_id: int,
    studies: Sequence[FoundStudy],
    before: Mapping[str, StudyTally],
    pending: Mapping[str, bool],
) -> dict[str, StudyTally]:
    """Return the studies of queries that are not added up, together with what is."""
    found = tallies_of(studies)
    changed = {uid: before[uid].merged(tally) if uid in before else tally for uid, tally in found.items()}
    # What an earlier round found is added up, and no longer holds.
    again = {study.study_instance_uid for study in studies if pending[study.tally.best.job_id]}
    return changed | recomputed(session, node_id, again)
