"""Comparisons, read from the ledgers of their queries and the list of what is stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from shared.clock import iso
from shared.contract.criteria import parse_criteria, window
from shared.contract.messages import ENDED
from shared.contract.reasons import Reason
from shared.database.models import Comparison, Query, QueryObject, QuerySeries, QueryStudy, StoredObject
from shared.evidence.comparison import (
    Compared,
    ComparisonStatus,
    Difference,
    SeriesHolding,
    Side,
    SideName,
    StudyHolding,
    compare,
)
from shared.evidence.csv_text import csv_line
from shared.evidence.results import ComparisonCounts, ComparisonResult, DifferenceResult, SideResult
from shared.reading.evidence.stored_headers import stored_counts
from shared.reading.evidence.studies import batches, of_days

#: Differences of one result, at most; the CSV has all.
SHOWN_MAX = 1000
STORE = "store"
CSV_COLUMNS = (
    "only_in",
    "kind",
    "study_instance_uid",
    "series_instance_uid",
    "sop_instance_uid",
    "objects",
    "certain",
    "day",
    "type",
    "accession_number",
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A comparison with both sides as far as they are."""

    comparison: Comparison
    left: Query | None
    right: Query | None
    sides: tuple[Side, Side] | None
    compared: Compared | None
    #: Objects of the compared studies of which the store has only the header.
    headers: int = 0

    @property
    def missing_studies(self) -> list[str]:
        """The studies of which the left side has something that the right side has not."""
        differences = self.compared.differences if self.compared else ()
        uids = (
            entry.study.study_instance_uid
            for entry in differences
            if entry.only_in is SideName.LEFT and entry.objects
        )
        return list(dict.fromkeys(uids))


def list_comparisons(session: Session, limit: int) -> list[Reading]:
    """Return comparisons without their differences, the newest first."""
    newest = select(Comparison).order_by(Comparison.requested_at.desc(), Comparison.id.desc()).limit(limit)
    comparisons = session.scalars(newest).all()
    ids = {name for row in comparisons for name in (row.left_query, row.right_query) if name}
    queries: dict[str | None, Query] = {}
    for some in batches(sorted(ids)):
        queries.update(
            {query.id: query for query in session.scalars(select(Query).where(Query.id.in_(some)))}
        )
    return [
        Reading(row, queries.get(row.left_query), queries.get(row.right_query), None, None)
        for row in comparisons
    ]


def read_comparison(session: Session, comparison: Comparison) -> Reading:
    """Return a comparison; its sides are compared once the queries have ended."""
    left = session.get(Query, comparison.left_query)
    right = session.get(Query, comparison.right_query) if comparison.right_query else None
    queries = [left] if comparison.right_query is None else [left, right]
    ended = all(query is not None and query.status in ENDED for query in queries)
    if left is None or not ended:
        return Reading(comparison, left, right, None, None)
    if right is not None:
        sides = _side(session, left), _side(session, right)
    else:
        own = _side(session, left)
        sides = own, _store_side(session, left, own)
    stored = stored_counts(session, [] if right is not None else list(sides[1].studies))
    headers = sum(counts.headers for counts in stored.values())
    return Reading(comparison, left, right, sides, compare(*sides), headers)


def comparison_json(reading: Reading, limit: int = SHOWN_MAX) -> ComparisonResult:
    """Return a comparison with its first differences."""
    comparison, compared = reading.comparison, reading.compared
    differences = compared.differences if compared else ()
    kind = "node" if comparison.right_query else STORE
    left_side, right_side = reading.sides or (None, None)
    left = _side_json(comparison.left_name, "node", comparison.left_query, reading.left, left_side)
    right = _side_json(
        comparison.right_name, kind, comparison.right_query, reading.right, right_side, reading.headers
    )
    return {
        "id": comparison.id,
        "status": compared.status.value if compared else ComparisonStatus.WAITING.value,
        "requested_by": comparison.requested_by,
        "requested_at": iso(comparison.requested_at),
        "left": left,
        "right": right,
        "counts": _counts(compared),
        "differences": [_difference_json(entry) for entry in differences[:limit]],
    }


def csv_of(reading: Reading) -> Iterator[str]:
    """Yield the lines of a CSV with all differences."""
    yield csv_line(CSV_COLUMNS)
    for entry in reading.compared.differences if reading.compared else ():
        yield csv_line(list(_difference_json(entry).values()))


def _side_json(
    name: str, kind: str, query_id: str | None, query: Query | None, side: Side | None, headers: int = 0
) -> SideResult:
    status = query.status if query is not None else ("" if query_id is None else "queued")
    return {
        "name": name,
        "kind": kind,
        "query": query_id,
        "status": status,
        "complete": side is not None and side.complete,
        "studies": len(side.studies) if side is not None else 0,
        "missing": query.slices_failed + query.studies_missing if query is not None else 0,
        "headers": headers,
    }


def _counts(compared: Compared | None) -> ComparisonCounts:
    differences = compared.differences if compared else ()

    def of(side: SideName) -> list[Difference]:
        return [entry for entry in differences if entry.only_in is side]

    left, right = of(SideName.LEFT), of(SideName.RIGHT)
    return {
        "both": compared.both if compared else 0,
        "not_compared": compared.not_compared if compared else 0,
        "left_only_studies": sum(entry.kind == "study" for entry in left),
        "left_only_objects": sum(entry.objects for entry in left),
        "right_only_studies": sum(entry.kind == "study" for entry in right),
        "right_only_objects": sum(entry.objects for entry in right),
    }


def _difference_json(entry: Difference) -> DifferenceResult:
    return {
        "only_in": entry.only_in.value,
        "kind": entry.kind,
        "study_instance_uid": entry.study.study_instance_uid,
        "series_instance_uid": entry.series_instance_uid,
        "sop_instance_uid": entry.sop_instance_uid,
        "objects": entry.objects,
        "certain": entry.certain,
        "day": entry.study.day,
        "type": entry.study.type,
        "accession_number": entry.study.accession_number,
    }


# Sides

SeriesByStudy = defaultdict[str, dict[str, SeriesHolding]]


def _side(session: Session, query: Query) -> Side:
    """Return what a query found: studies of the requested types, and the objects that it keeps or knows."""
    series = _series_of(session, query)
    studies = {}
    for row in session.scalars(select(QueryStudy).where(QueryStudy.job_id == query.id)):
        if row.state == "decided" and row.type is None:
            continue
        uid = row.study_instance_uid
        studies[uid] = StudyHolding(
            uid,
            series.get(uid, {}),
            row.state == "decided",
            row.study_date or "",
            row.type or "",
            row.accession_number or "",
        )
    return Side(studies, query.status == "completed")


def _series_of(session: Session, query: Query) -> SeriesByStudy:
    """Return the dose objects that a query keeps or knows, by study and series."""
    named: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    objects = select(
        QueryObject.study_instance_uid, QueryObject.series_instance_uid, QueryObject.sop_instance_uid
    ).where(
        QueryObject.job_id == query.id,
        or_(QueryObject.decision == "keep", QueryObject.reason == Reason.KNOWN),
    )
    for study, series, uid in session.execute(objects):
        named[study, series].add(uid)
    found: SeriesByStudy = defaultdict(dict)
    for (study, series), uids in named.items():
        found[study][series] = SeriesHolding(frozenset(uids))
    whole = select(
        QuerySeries.study_instance_uid, QuerySeries.series_instance_uid, QuerySeries.instance_count
    ).where(QuerySeries.job_id == query.id, QuerySeries.decision == "keep", QuerySeries.whole)
    for study, series, count in session.execute(whole):
        found[study].setdefault(series, SeriesHolding(named=False, number=count))
    return found


def _store_side(session: Session, query: Query, node: Side) -> Side:
    """Return what is stored of the studies that the query found, and of others of its days."""
    stored = _stored(session, [*node.studies, *_earlier_studies(session, query, node.studies)])
    returned = _returned(session, query)
    studies = {}
    for uid, series in stored.items():
        own = node.studies.get(uid)
        if own is None:
            held = {series_uid: SeriesHolding(frozenset(uids)) for series_uid, uids in series.items()}
            studies[uid] = StudyHolding(uid, held)
        elif uid not in returned.studies:
            # Nobody looked into it, because it is known as it is.
            studies[uid] = own
        else:
            held = _held(own, series, returned)
            if held or not own.series:
                studies[uid] = replace(own, series=held)
    return Side(studies, has_studies_without_objects=False)


def _held(own: StudyHolding, series: Mapping[str, set[str]], returned: _Returned) -> dict[str, SeriesHolding]:
    """Return the stored objects of a study that count: not what the node has too and the query dropped."""
    held = {}
    for series_uid, stored_uids in series.items():
        uids = stored_uids - returned.dropped
        if uids and (series_uid in own.series or series_uid not in returned.series):
            held[series_uid] = SeriesHolding(frozenset(uids))
    return held


def _stored(session: Session, study_uids: Iterable[str]) -> dict[str, dict[str, set[str]]]:
    found: defaultdict[str, dict[str, set[str]]] = defaultdict(dict)
    columns = (
        StoredObject.study_instance_uid,
        StoredObject.series_instance_uid,
        StoredObject.sop_instance_uid,
    )
    for uids in batches(list(study_uids)):
        for study, series, uid in session.execute(
            select(*columns).where(StoredObject.study_instance_uid.in_(uids))
        ):
            found[study].setdefault(series, set()).add(uid)
    return found


@dataclass(frozen=True, slots=True)
class _Returned:
    """What a node returned: studies with their series, and the objects that the query dropped."""

    studies: set[str]
    series: set[str]
    dropped: set[str]


def _returned(session: Session, query: Query) -> _Returned:
    columns = (QuerySeries.study_instance_uid, QuerySeries.series_instance_uid)
    series = session.execute(select(*columns).where(QuerySeries.job_id == query.id)).all()
    dropped = select(QueryObject.sop_instance_uid).where(
        QueryObject.job_id == query.id, QueryObject.decision == "drop", QueryObject.reason != Reason.KNOWN
    )
    return _Returned(
        {row.study_instance_uid for row in series},
        {row.series_instance_uid for row in series},
        set(session.scalars(dropped)),
    )


def _earlier_studies(session: Session, query: Query, found: Collection[str]) -> list[str]:
    """Return studies of the days and types that other queries of the node found, and this one did not."""
    criteria = parse_criteria(query.criteria)
    days = window(criteria, query.today)
    if days.date_from is None or days.date_until is None or criteria.accession_numbers:
        return []
    rows = session.scalars(
        select(QueryStudy.study_instance_uid)
        .join(Query, Query.id == QueryStudy.job_id)
        .where(
            *of_days(query.remote_id, days.date_from, days.date_until),
            QueryStudy.job_id != query.id,
            QueryStudy.type.in_(criteria.requested_types()),
        )
        .distinct()
    )
    return [uid for uid in rows if uid not in found]
