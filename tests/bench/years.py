"""A database of years: 100,000 jobs, 1,000,000 studies, and what else pages list."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any

from sqlalchemy import JSON, Table, insert, text
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from shared.clock import utc_now
from shared.database.models import (
    AuditEntry,
    Base,
    Comparison,
    Query,
    QueryObject,
    QuerySeries,
    QueryStudy,
    QueryTask,
    ReportSummary,
    Retrieve,
    RetrieveObject,
    ScheduleRun,
    StoredObject,
)
from shared.database.session import Database
from tests.support.jobs.rows import a_query, a_retrieve, a_series, a_study, a_task, an_expected, an_object

QUERIES, RETRIEVES, STUDIES = 60_000, 40_000, 1_000_000
#: Studies of one query beside the others: the first query of an archive.
LARGEST = 50_000
QUERIES_A_DAY = 33
STORED = 100_000
AUDITED = 100_000
RUNS = 20_000
COMPARISONS = 50

#: The PACS of most queries, the store, and the PACS of the largest query.
PACS, STORE, OTHER = 1, 2, 3
STATIONS = 24
_TYPES = ("CT", "CT", "CT", "DX", "MG", "FL")
_REASONS = ("rdsr", "rdsr", "rdsr", "esr", "images_no_report", "no_dose_object")
_RDSR = "1.2.840.10008.5.1.4.1.1.88.67"

Row = dict[str, Any]


def query_id(number: int) -> str:
    """Return the id of a query; number 0 is the largest."""
    return f"{number:08}{'a' * 24}"


def retrieve_id(number: int) -> str:
    """Return the id of a retrieve; number 0 is that of the largest query."""
    return f"{number:08}{'b' * 24}"


def fill(database: Database) -> None:
    """Write all of it."""
    now = utc_now()
    _load(database, Query, _queries(now))
    _load(database, QueryTask, (_task(number) for number in range(2_000)))
    _load(database, QueryStudy, _studies(now))
    _load(database, QuerySeries, _series(now))
    _load(database, QueryObject, (_object(number) for number in range(LARGEST)))
    _load(database, Retrieve, _retrieves(now))
    _load(database, RetrieveObject, (_expected(number) for number in range(LARGEST)))
    _load(database, StoredObject, (_stored(number, now) for number in range(STORED)))
    _load(database, ReportSummary, (_summary(number, now) for number in range(STORED)))
    _load(database, AuditEntry, (_audited(number, now) for number in range(AUDITED)))
    _load(database, Comparison, (_comparison(number, now) for number in range(COMPARISONS)))
    analyze(database)


def fill_runs(database: Database, schedule_id: int) -> None:
    """Write the runs of a schedule."""
    now = utc_now()
    rows = (
        {
            "schedule_id": schedule_id,
            "due_at": now - timedelta(hours=number + 1),
            "began_at": now - timedelta(hours=number + 1),
            "ended_at": now - timedelta(hours=number),
            "status": "completed",
            "job_id": query_id(QUERIES - 1 - number),
        }
        for number in range(RUNS)
    )
    _load(database, ScheduleRun, rows)


def analyze(database: Database) -> None:
    """Let the database count what there is, as it does by itself from time to time."""
    with database.write() as session:
        session.execute(text("ANALYZE"))


def pattern(instance: object) -> Row:
    """Return the columns of a row that is only a pattern."""
    return {name: value for name, value in vars(instance).items() if not name.startswith("_")}


def day_of(number: int, now: datetime) -> datetime:
    """Return noon of the day that a query searches; those of the last query are yesterday's."""
    noon = now.astimezone(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return noon - timedelta(days=1 + (QUERIES - 1 - number) // QUERIES_A_DAY)


def _queries(now: datetime) -> Iterator[Row]:
    query = pattern(a_query())
    for number in range(QUERIES):
        day = day_of(number, now)
        at = day + timedelta(hours=13, minutes=number % 60)
        date = day.date()
        first = date - timedelta(days=365) if number == 0 else date
        yield query | {
            "id": query_id(number),
            "criteria": {
                "types": ["CT", "MG", "FL", "DX"],
                "date_from": first.isoformat(),
                "date_until": date.isoformat(),
            },
            "status": "failed" if number % 500 == 499 else "completed",
            "requested_by": f"person{number % 7}",
            "remote_id": OTHER if number == 0 or number % 10 == 9 else PACS,
            "requested_at": at,
            "started_at": at,
            "ended_at": at + timedelta(seconds=number % 1000),
            "today": (day + timedelta(days=1)).date(),
            "days_from": first,
            "days_until": date,
            "studies_found": LARGEST if number == 0 else 16,
            "studies_examined": LARGEST if number == 0 else 16,
            "studies_kept": number * 7919 % 1000,
            "slices_total": 3,
            "slices_complete": 3,
        }


def _task(number: int) -> Row:
    payload = {"date_from": "2024-01-01", "date_until": "2024-01-01", "matches": 9}
    return pattern(a_task(query_id(0), payload=payload, state="done"))


def query_of(number: int) -> int:
    """Return the query that found a study."""
    return 0 if number < LARGEST else 1 + (number - LARGEST) % (QUERIES - 1)


def _studies(now: datetime) -> Iterator[Row]:
    study = pattern(a_study("1"))
    for number in range(STUDIES):
        query = query_of(number)
        day = day_of(query, now) - timedelta(days=number % 365 if query == 0 else 0)
        reason = _REASONS[number % len(_REASONS)]
        missing = number % 997 == 0
        decided = {"decision": "drop" if reason == "no_dose_object" else "keep", "reason": reason}
        yield study | {
            "job_id": query_id(query),
            "study_instance_uid": f"1.2.{number}",
            "state": "missing" if missing else "decided",
            "type": None if missing else _TYPES[number % len(_TYPES)],
            **({"decision": "", "reason": "study_not_answered"} if missing else decided),
            "modalities": [_TYPES[number % len(_TYPES)], "SR"],
            "description": "Thorax",
            "station_name": None,
            "study_date": f"{day:%Y%m%d}",
            "study_time": f"{number % 24:02}{number % 60:02}00",
            "accession_number": f"A{number}",
            "series_count": 3,
            "instance_count": 120,
        }


def _series(now: datetime) -> Iterator[Row]:
    del now
    series = pattern(a_series("1", "1"))
    for number in range(STUDIES):
        type_name = _TYPES[number % len(_TYPES)]
        yield series | {
            "job_id": query_id(query_of(number)),
            "study_instance_uid": f"1.2.{number}",
            "series_instance_uid": f"1.2.{number}.1",
            "modality": "RF" if type_name == "FL" else type_name,
            "station_name": f"{type_name}{number % STATIONS}",
            "decision": "drop",
            "reason": "no_dose_object",
            "whole": False,
        }


def _object(number: int) -> Row:
    uid = f"1.2.{number}"
    return pattern(an_object(uid, f"{uid}.2", f"{uid}.2.1", query_id(0)))


def _retrieves(now: datetime) -> Iterator[Row]:
    retrieve = pattern(a_retrieve())
    for number in range(RETRIEVES):
        at = day_of(number, now) + timedelta(hours=14)
        yield retrieve | {
            "id": retrieve_id(number),
            "query_id": query_id(number),
            "requested_at": at,
            "started_at": at,
            "ended_at": at + timedelta(seconds=9),
            "asked": LARGEST if number == 0 else 0,
            "arrived": LARGEST if number == 0 else 0,
            "verification": "receipts",
        }


def _expected(number: int) -> Row:
    uid = f"1.2.{number}"
    state = "missing" if number % 100 == 0 else "arrived"
    return pattern(an_expected(uid, f"{uid}.2", f"{uid}.2.1", retrieve_id(0), state=state))


def _stored(number: int, now: datetime) -> Row:
    # The last ones lie on days that pages show by default.
    study = number if number < LARGEST else STUDIES - 1 - (number - LARGEST)
    uid = f"1.2.{study}"
    return {
        "sop_instance_uid": f"{uid}.2.1",
        "series_instance_uid": f"{uid}.2",
        "study_instance_uid": uid,
        "sop_class_uid": _RDSR,
        "source": "store",
        "received_at": now - timedelta(days=1),
        "last_received_at": now - timedelta(days=1),
    }


def _summary(number: int, now: datetime) -> Row:
    return {
        "sop_instance_uid": _stored(number, now)["sop_instance_uid"],
        "summary": {
            "kind": "ct",
            "events": 1,
            "figures": [{"name": "DLP total", "value": 12.5, "unit": "mGy.cm", "of": ""}],
            "software_versions": f"VA{number % 3}",
        },
        "read_at": now - timedelta(days=1),
    }


def _audited(number: int, now: datetime) -> Row:
    return {
        "at": now - timedelta(minutes=number),
        "action": ("login", "query", "retrieve")[number % 3],
        "user": f"person{number % 7}",
        "remote_address": "192.0.2.1",
        "details": {"job_id": query_id(number % QUERIES)},
    }


def _comparison(number: int, now: datetime) -> Row:
    return {
        "id": f"{number:08}{'c' * 24}",
        "left_query": query_id(QUERIES - 1 - number),
        "left_name": "pacs",
        "right_name": "store",
        "requested_by": "person1",
        "requested_at": now - timedelta(hours=number),
    }


# Loading


def _load(database: Database, model: type[Base], rows: Iterable[Row]) -> None:
    table = model.__table__
    assert isinstance(table, Table)
    if database.is_sqlite:
        left = iter(rows)
        while some := list(islice(left, 20_000)):
            with database.write() as session:
                session.execute(insert(table), some)
        return
    _copy(database, table, rows)


def _copy(database: Database, table: Table, rows: Iterable[Row]) -> None:
    """Load rows into PostgreSQL with COPY: in statements it would take minutes."""
    rows = iter(rows)
    first = next(rows)
    defaults = {
        column.name: column.default.arg
        for column in table.columns
        if isinstance(column.default, ScalarElementColumnDefault) and column.name not in first
    }
    documents = {column.name for column in table.columns if isinstance(column.type, JSON)}
    names = ", ".join(f'"{name}"' for name in [*first, *defaults])
    raw = database.engine.raw_connection()
    try:
        cursor: Any = raw.cursor()
        with cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in chain([first], rows):
                copy.write_row(_values(row, defaults, documents))
        raw.commit()
    finally:
        raw.close()


def _values(row: Mapping[str, Any], defaults: Mapping[str, Any], documents: set[str]) -> list[Any]:
    return [
        json.dumps(value) if name in documents and value is not None else value
        for name, value in {**row, **defaults}.items()
    ]
