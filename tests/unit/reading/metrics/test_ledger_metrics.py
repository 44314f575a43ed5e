"""Numbers of the ledger, and the alerts and panels that are made of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.core import CollectorRegistry
from sqlalchemy.orm import Session

from services.store.metrics.counters import GAUGES, NAMES
from shared.broker.memory.broker import MemoryBroker
from shared.database.models import Node, NodeBudget, NodeLease
from shared.database.session import Database
from shared.health import Health
from shared.metrics.process_metrics import REGISTRY, pool_metrics
from shared.reading.metrics.ledger_metrics import LedgerMetrics, ledger_metrics
from tests.support.jobs.rows import NOW, a_query, a_task
from tests.support.servers.databases import prepare

MONITORING = Path(__file__).parents[4] / "deploy" / "monitoring"
WORKERS = {"query": 4, "retrieve": 4}

#: Names of metrics within an expression of Prometheus.
_METRIC = re.compile(r"\b(doseqr_\w+|process_\w+)\b")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    prepare(database)
    yield database
    database.close()


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.write() as opened:
        yield opened


def read(session: Session) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in ledger_metrics(session, NOW, WORKERS)
        for sample in metric.samples
    }


def a_node(session: Session, name: str, allowed: int = 4) -> int:
    node = Node(
        kind="remote",
        name=name,
        host="pacs",
        port=104,
        ae_title="PACS",
        max_associations=allowed,
        created_at=NOW,
    )
    session.add(node)
    session.flush()
    return node.id


def running(session: Session, job_id: str, node_id: int, **tasks: int) -> None:
    session.add(a_query(job_id, status="running", remote_id=node_id, requested_at=NOW - timedelta(minutes=5)))
    session.flush()
    for state, number in tasks.items():
        for _ in range(number):
            session.add(a_task(job_id, state=state, due_at=NOW - timedelta(seconds=30)))
    session.flush()


def test_jobs_and_tasks_are_counted_by_kind_and_state(session: Session) -> None:
    # Given
    running(session, "q1", a_node(session, "pacs"), pending=3, running=1, done=5)
    session.add(a_query("q2", status="failed", ended_at=NOW - timedelta(minutes=10)))
    session.add(a_query("q3", status="completed", ended_at=NOW - timedelta(hours=2)))
    session.flush()
    # When
    found = read(session)
    # Then
    assert found["doseqr_jobs", "query", "running"] == 1
    assert found["doseqr_jobs", "query", "completed"] == 1
    assert found["doseqr_jobs_ended_last_hour", "query", "failed"] == 1
    assert ("doseqr_jobs_ended_last_hour", "query", "completed") not in found
    assert found["doseqr_tasks", "query", "pending"] == 3
    assert ("doseqr_tasks", "query", "done") not in found
    assert found["doseqr_tasks_due", "query"] == 3
    assert found["doseqr_task_oldest_due_seconds", "query"] == 30
    assert found["doseqr_job_longest_running_seconds", "query"] == 300


def test_useful_workers_are_bounded_by_what_nodes_allow(session: Session) -> None:
    # Given: six tasks of one node at once, of the other all three
    running(session, "q1", a_node(session, "small", allowed=4), pending=500, running=2)
    running(session, "q2", a_node(session, "large", allowed=16), pending=2, running=1)
    # When
    found = read(session)
    # Then
    assert found["doseqr_useful_workers", "query"] == 3
    assert found["doseqr_useful_workers", "retrieve"] == 0


def test_work_in_hand_is_useful_though_nothing_else_is_due(session: Session) -> None:
    # Given
    running(session, "q1", a_node(session, "pacs"), running=5)
    # Then
    assert read(session)["doseqr_useful_workers", "query"] == 2


def test_associations_of_a_node_are_those_whose_leases_stand(session: Session) -> None:
    # Given
    node_id = a_node(session, "pacs")
    for token, is_held, until in (("a", True, 1), ("b", True, -1), ("c", False, 1)):
        session.add(
            NodeLease(
                token=token, node_id=node_id, held=is_held, worker="w", until=NOW + timedelta(minutes=until)
            )
        )
    session.flush()
    # When
    found = read(session)
    # Then
    assert found["doseqr_node_associations", "pacs"] == 1
    assert found["doseqr_node_associations_waiting", "pacs"] == 1
    assert found["doseqr_node_associations_allowed", "pacs"] == 4


def test_tries_that_did_not_reach_a_node_are_counted(session: Session) -> None:
    # Given
    away, back = a_node(session, "away"), a_node(session, "back")
    for node_id, failures in ((away, 3), (back, 0)):
        session.add(NodeBudget(node_id=node_id, tokens=1.0, tokens_at=NOW, away_failures=failures))
    session.flush()
    # When
    found = read(session)
    # Then
    assert found["doseqr_node_failed_tries", "away"] == 3
    assert found["doseqr_node_failed_tries", "back"] == 0


def test_a_blown_fuse_shows_until_it_is_whole(session: Session) -> None:
    # Given
    for name, minutes in (("blown", 1), ("whole", -1)):
        until = NOW + timedelta(minutes=minutes)
        session.add(
            NodeBudget(node_id=a_node(session, name), tokens=1.0, tokens_at=NOW, fuse_blown_until=until)
        )
    session.flush()
    # When
    found = read(session)
    # Then
    assert found["doseqr_node_fuse_blown", "blown"] == 1
    assert found["doseqr_node_fuse_blown", "whole"] == 0


def test_many_scrapes_read_the_ledger_once(database: Database) -> None:
    # Given
    now = [0.0]
    with closing(MemoryBroker()) as broker:
        metrics = LedgerMetrics(database, broker, lambda: NOW, WORKERS, lambda: now[0])
        # When
        first, second = metrics(), metrics()
        now[0] = 11.0
        third = metrics()
    # Then
    assert first is second
    assert third is not first
    assert "doseqr_queue_consumers" in {metric.name for metric in first}


def offered(database: Database) -> set[str]:
    """Return the names of all metrics that services offer."""
    registry = CollectorRegistry()
    with closing(MemoryBroker()) as broker:
        health = Health()
        health.add_metrics(LedgerMetrics(database, broker, lambda: NOW, WORKERS))
        health.add_metrics(lambda: pool_metrics(*database.connections))
        registry.register(health)
        families = [*registry.collect(), *REGISTRY.collect()]
    names = {f"doseqr_store_{name}_total" for name in NAMES} | {f"doseqr_store_{name}" for name in GAUGES}
    names |= {"doseqr_store_free_bytes", "doseqr_store_database_free_bytes"}
    # Of the retrieve service: services/retrieve/transfer/back_pressure.py
    names.add("doseqr_moves_held")
    for family in families:
        names |= {family.name, f"{family.name}_total"}
        names |= {f"{family.name}_{suffix}" for suffix in ("bucket", "sum", "count")}
    return names


def test_alerts_and_panels_use_metrics_that_exist(database: Database) -> None:
    # Given
    dashboard = json.loads((MONITORING / "grafana" / "doseqr.json").read_text())
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    alerts = re.findall(r"^ +expr: (.*)$", (MONITORING / "alerts.yml").read_text(), re.MULTILINE)
    # When
    used = {name for expression in panels + alerts for name in _METRIC.findall(expression)}
    # Then
    assert len(panels) > 20
    assert len(alerts) > 8
    assert used - offered(database) == set()


def test_the_dashboard_has_rate_errors_and_duration_and_use_saturation_and_errors() -> None:
    # Given
    dashboard = json.loads((MONITORING / "grafana" / "doseqr.json").read_text())
    # When
    rows: dict[str, list[str]] = {}
    for panel in sorted(
        dashboard["panels"], key=lambda panel: (panel["gridPos"]["y"], panel["gridPos"]["x"])
    ):
        if panel["type"] == "row":
            rows[panel["title"]] = []
        elif rows:
            rows[list(rows)[-1]].append(panel["title"])
    # Then
    for title, panels in rows.items():
        wanted = {"RED": ("Rate", "Errors", "Duration"), "USE": ("Utilization", "Saturation", "Errors")}
        for begin in wanted.get(title.partition(":")[0], ()):
            assert any(panel.startswith(begin) for panel in panels), (title, begin)
    assert {title for title in rows if title.startswith(("RED", "USE"))} == {
        *("RED: page and API", "RED: commands", "RED: tasks"),
        *("USE: workers", "USE: nodes", "USE: disks", "USE: connections to the database", "USE: queues"),
    }


def test_no_two_panels_of_the_dashboard_overlap() -> None:
    # Given
    dashboard = json.loads((MONITORING / "grafana" / "doseqr.json").read_text())
    # When
    cells = [
        (grid["x"] + column, grid["y"] + line)
        for grid in (panel["gridPos"] for panel in dashboard["panels"])
        for column in range(grid["w"])
        for line in range(grid["h"])
    ]
    # Then
    assert len(cells) == len(set(cells))
    assert all(column < 24 for column, _ in cells)


def test_no_label_of_a_metric_is_a_uid(session: Session) -> None:
    # Given
    running(session, "job-of-a-person", a_node(session, "pacs"), pending=1)
    # When
    labels = {
        name
        for metric in ledger_metrics(session, NOW, WORKERS)
        for sample in metric.samples
        for name in sample.labels
    }
    # Then
    assert labels <= {"kind", "status", "state", "node", "queue"}
