"""Connections of this process to its database, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from shared.database.pool_usage import pool_usage
from shared.database.session import Database


def pool_metrics(database: Database) -> Iterator[Metric]:
    """Yield how many connections are in use and idle, and how many may be."""
    usage = pool_usage(database)
    if usage is None:
        return
    connections = GaugeMetricFamily(
        "doseqr_database_connections", "Connections to the database", labels=["state"]
    )
    connections.add_metric(["in_use"], usage.in_use)
    connections.add_metric(["idle"], usage.idle)
    yield connections
    yield GaugeMetricFamily(
        "doseqr_database_connections_allowed",
        "Connections that may be in use at once; more are waited for",
        usage.allowed,
    )
