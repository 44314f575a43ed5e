"""The view of useful workers counts what the metric counts, on both databases."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.clock import utc_now
from shared.database.models import Node, Query, QueryTask, Retrieve, RetrieveTask
from shared.reading.metrics.ledger_metrics import ledger_metrics
from tests.support.jobs.rows import a_query

#: With one task for each worker, workers are tasks.
ONE_EACH = {"query": 1, "retrieve": 1}
PAUSE = {"by": "ada", "at": "2024-05-01T12:00:00Z", "command_id": "pause-1"}


def add_random_work(session: Session, chance: random.Random, now: datetime) -> None:
    """Add nodes and jobs, some of them paused, with tasks in all states, due or not."""
    nodes = [
        Node(
            kind="remote",
            name=f"node-{number}",
            host="pacs",
            port=104,
            ae_title="PACS",
            max_associations=chance.randint(1, 6),
            paused=chance.choice((None, None, None, PAUSE)),
            created_at=now,
        )
        for number in range(4)
    ]
    session.add_all(nodes)
    session.flush()
    for number in range(12):
        columns: dict[str, Any] = {
            "status": chance.choice(("queued", "running", "running", "completed")),
            "remote_id": chance.choice(nodes).id,
            "store_id": chance.choice(nodes).id,
            "paused": chance.choice((None, None, None, PAUSE)),
        }
        query = a_query(f"query-{number}", **columns)
        session.add(query)
        session.add(a_retrieve(f"retrieve-{number}", query, columns))
        session.flush()
        for job_id, task in ((query.id, QueryTask), (f"retrieve-{number}", RetrieveTask)):
            session.add_all(random_tasks(job_id, task, chance, now))
    session.flush()


def a_retrieve(job_id: str, query: Query, columns: dict[str, Any]) -> Retrieve:
    return Retrieve(
        id=job_id,
        query_id=query.id,
        selection={},
        remote_name="pacs",
        store_name="doseqr",
        requested_at=query.requested_at,
        **columns,
    )


def random_tasks(
    job_id: str, task: type[QueryTask | RetrieveTask], chance: random.Random, now: datetime
) -> list[QueryTask | RetrieveTask]:
    return [
        task(
            job_id=job_id,
            kind="slice",
            payload={},
            created_at=now,
            state=chance.choice(("pending", "pending", "pending", "queued", "running", "done")),
            due_at=now + timedelta(minutes=chance.choice((-1, -1, 1))),
        )
        for _ in range(chance.randrange(9))
    ]


@pytest.mark.parametrize("seed", range(3))
def test_the_view_counts_what_the_metric_counts(database, seed):
    # Given
    now = utc_now()
    with database.write() as session:
        add_random_work(session, random.Random(seed), now)
    # When
    with database.read() as session:
        rows = session.execute(text("SELECT kind, tasks FROM doseqr_useful_workers"))
        in_view = {row.kind: row.tasks for row in rows}
        in_metric = {
            sample.labels["kind"]: sample.value
            for metric in ledger_metrics(session, now, ONE_EACH)
            for sample in metric.samples
            if sample.name == "doseqr_useful_workers"
        }
    # Then
    assert in_view == in_metric
    assert sum(in_view.values()) > 0


def test_an_empty_ledger_needs_no_worker(database):
    with database.read() as session:
        rows = session.execute(text("SELECT kind, tasks FROM doseqr_useful_workers ORDER BY kind"))
        assert [tuple(row) for row in rows] == [("query", 0), ("retrieve", 0)]


def test_a_table_below_the_view_can_be_made_anew(sqlite_database):
    # Given
    with sqlite_database.engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA legacy_alter_table=ON")
        # When
        connection.exec_driver_sql("CREATE TABLE queries_new AS SELECT * FROM queries")
        connection.exec_driver_sql("DROP TABLE queries")
        connection.exec_driver_sql("ALTER TABLE queries_new RENAME TO queries")
        # Then
        rows = connection.exec_driver_sql("SELECT tasks FROM doseqr_useful_workers").all()
    assert [tuple(row) for row in rows] == [(0,), (0,)]
