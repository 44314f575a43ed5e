"""Whether what queries keep of studies has arrived: in DoseQR's own store, or proven at another one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from shared.database.models import QueryObject, QuerySeries, RetrieveObject, StoredObject

#: The job and the UID of a study that it keeps something of.
KeptStudy = tuple[str, str]


@dataclass(frozen=True, slots=True)
class KeptRows:
    """What queries keep of studies: series and UIDs of objects, and whole series with their counts."""

    named: Mapping[KeptStudy, Sequence[tuple[str, str]]]
    whole: Mapping[KeptStudy, Sequence[tuple[str, int | None]]]


def arrived_studies(session: Session, kept: Sequence[KeptStudy]) -> set[str]:
    """Return the UIDs of those of these studies of which all that was kept has arrived."""
    return arrived_of_rows(session, kept, KeptRows(_named(session, kept), _whole(session, kept)))


def arrived_of_rows(session: Session, kept: Sequence[KeptStudy], rows: KeptRows) -> set[str]:
    """Return the same for studies of which the rows are read already."""
    have = _arrived(session, sorted({uid for _, uid in kept}))
    return {
        key[1] for key in kept if _has_all(have[key[1]], rows.named.get(key, ()), rows.whole.get(key, ()))
    }


def _has_all(
    have: Mapping[str, Collection[str]],
    named: Sequence[tuple[str, str]],
    whole: Sequence[tuple[str, int | None]],
) -> bool:
    """Return whether what is kept of a study is among the objects that it has by series."""
    named_series = {series for series, _ in named}
    return (
        bool(named or whole)
        # Whatever series it is in: some archives list an object in two, and the store has it in one.
        and {uid for _, uid in named} <= set().union(*have.values())
        and all(
            len(have.get(series, ())) >= (count or 1) for series, count in whole if series not in named_series
        )
    )


def _arrived(session: Session, uids: Sequence[str]) -> defaultdict[str, dict[str, set[str]]]:
    """Return the objects that are stored or have arrived, by study and series."""
    found: defaultdict[str, dict[str, set[str]]] = defaultdict(dict)
    for table, condition in (
        (StoredObject, StoredObject.study_instance_uid.in_(uids)),
        (
            RetrieveObject,
            RetrieveObject.study_instance_uid.in_(uids) & (RetrieveObject.state == "arrived"),
        ),
    ):
        columns = (table.study_instance_uid, table.series_instance_uid, table.sop_instance_uid)
        for study, series, uid in session.execute(select(*columns).where(condition)):
            found[study].setdefault(series, set()).add(uid)
    return found


def _named(session: Session, kept: Sequence[KeptStudy]) -> defaultdict[KeptStudy, list[tuple[str, str]]]:
    found: defaultdict[KeptStudy, list[tuple[str, str]]] = defaultdict(list)
    row = QueryObject
    rows = session.execute(
        select(row.job_id, row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid).where(
            tuple_(row.job_id, row.study_instance_uid).in_(kept), row.decision == "keep"
        )
    )
    for job_id, study, series, uid in rows:
        found[job_id, study].append((series, uid))
    return found


def _whole(
    session: Session, kept: Sequence[KeptStudy]
) -> defaultdict[KeptStudy, list[tuple[str, int | None]]]:
    found: defaultdict[KeptStudy, list[tuple[str, int | None]]] = defaultdict(list)
    row = QuerySeries
    rows = session.execute(
        select(row.job_id, row.study_instance_uid, row.series_instance_uid, row.instance_count).where(
            tuple_(row.job_id, row.study_instance_uid).in_(kept), row.decision == "keep", row.whole
        )
    )
    for job_id, study, series, count in rows:
        found[job_id, study].append((series, count))
    return found
