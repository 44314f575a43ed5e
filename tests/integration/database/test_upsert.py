"""Inserting rows of which some are there already, on SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import func, select

from shared.database.models import QueryStudy
from shared.database.upsert import insert_missing
from tests.support.jobs.rows import a_query


def row(number: int) -> dict[str, object]:
    return {
        "job_id": "query-1",
        "study_instance_uid": f"1.2.{number}",
        "state": "found",
        "modalities": ["CT"] if number % 2 else None,
    }


def test_only_rows_that_were_not_there_are_returned(database):
    # Given
    with database.write() as session:
        session.add(a_query())
        session.flush()
        first = insert_missing(session, QueryStudy, [row(number) for number in range(40)])
    # When
    with database.write() as session:
        second = insert_missing(session, QueryStudy, [row(number) for number in range(20, 4_020)])
        nothing = insert_missing(session, QueryStudy, [])
    # Then
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(QueryStudy)) == 4_020
    assert {row.study_instance_uid for row in first} == {f"1.2.{number}" for number in range(40)}
    assert {row.study_instance_uid for row in second} == {f"1.2.{number}" for number in range(40, 4_020)}
    assert nothing == []
