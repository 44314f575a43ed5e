"""Tables of a job as CSV: the studies of a query with their decisions, the objects of a retrieve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.clock import iso
from shared.contract.reasons import sentence
from shared.database.models.query import Query, QueryStudy
from shared.database.models.retrieve import Retrieve, RetrieveObject
from shared.reading.exports.csv_cells import csv_rows
from shared.reading.jobs import Job

#: Rows that are read at once.
_CHUNK = 1000

_STUDY = (
    QueryStudy.study_instance_uid,
    QueryStudy.accession_number,
    QueryStudy.study_date,
    QueryStudy.study_time,
    QueryStudy.description,
    QueryStudy.station_name,
    QueryStudy.modalities,
    QueryStudy.series_count,
    QueryStudy.instance_count,
    QueryStudy.type,
    QueryStudy.state,
    QueryStudy.decision,
    QueryStudy.reason,
    QueryStudy.detail,
)
_OBJECT = (
    RetrieveObject.study_instance_uid,
    RetrieveObject.series_instance_uid,
    RetrieveObject.sop_instance_uid,
    RetrieveObject.sop_class_uid,
    RetrieveObject.state,
    RetrieveObject.asked,
    RetrieveObject.announced,
    RetrieveObject.arrived_at,
    RetrieveObject.reason,
    RetrieveObject.detail,
    RetrieveObject.content,
)


def job_csv(session: Session, job: Job) -> Iterator[str]:
    """Yield the studies of a query, or the objects of a retrieve, as lines of CSV."""
    return studies_csv(session, job) if isinstance(job, Query) else objects_csv(session, job)


def studies_csv(session: Session, query: Query, decision: str = "") -> Iterator[str]:
    """Yield the studies of a query, or only those of one decision or that are missing."""
    statement = select(*_STUDY).where(QueryStudy.job_id == query.id)
    if decision == "missing":
        statement = statement.where(QueryStudy.state == "missing")
    elif decision:
        statement = statement.where(QueryStudy.decision == decision)
    rows = session.execute(
        statement.order_by(QueryStudy.study_instance_uid).execution_options(yield_per=_CHUNK)
    )
    columns = [column.key for column in _STUDY]
    return csv_rows([*columns, "sentence"], (_cells(row, row.reason) for row in rows))


def objects_csv(session: Session, retrieve: Retrieve, states: Sequence[str] = ()) -> Iterator[str]:
    """Yield the objects that a retrieve expects, or only those in these states."""
    row = RetrieveObject
    statement = select(*_OBJECT).where(row.job_id == retrieve.id)
    if states:
        statement = statement.where(row.state.in_(states))
    key = (row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid)
    rows = session.execute(statement.order_by(*key).execution_options(yield_per=_CHUNK))
    columns = [column.key for column in _OBJECT]
    return csv_rows([*columns, "sentence"], (_cells(found, found.reason) for found in rows))


def _cells(row: Sequence[object], reason: str) -> list[str | int | None]:
    return [*(_cell(value) for value in row), sentence(reason) if reason else ""]


def _cell(value: object) -> str | int | None:
    if value is None or isinstance(value, int | str):
        return value
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return iso(value) if isinstance(value, datetime) else str(value)
