"""What this process has done since it began, by the conventions of Prometheus.

Labels are from closed sets: queues, outcomes, levels, endpoints. No UID, job or user becomes one.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, ProcessCollector
from prometheus_client.core import GaugeMetricFamily

#: All of this module, and the process's own processor time and memory.
REGISTRY = CollectorRegistry(auto_describe=False)

#: What comes of a message, and of an attempt to send a notification.
_MESSAGE_OUTCOMES = ("done", "dead_lettered", "requeued", "defect", "lost")
_NOTIFICATION_OUTCOMES = ("sent", "failed", "given_up", "interrupted", "lost")

_BUCKETS_S = (0.005, 0.025, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 1800.0)

_messages = Counter(
    "doseqr_messages", "Messages handled, tasks among them", ("queue", "outcome"), registry=REGISTRY
)
_message_seconds = Histogram(
    "doseqr_message_duration_seconds",
    "Seconds from the delivery of a message to its end",
    ("queue",),
    buckets=_BUCKETS_S,
    registry=REGISTRY,
)
_in_progress = Gauge(
    "doseqr_messages_in_progress", "Messages in hand, tasks among them", ("queue",), registry=REGISTRY
)
_requests = Counter(
    "doseqr_http_requests",
    "Requests to the page and the API",
    ("method", "endpoint", "status"),
    registry=REGISTRY,
)
_request_seconds = Histogram(
    "doseqr_http_request_duration_seconds",
    "Seconds until the response to a request began",
    ("endpoint",),
    buckets=_BUCKETS_S,
    registry=REGISTRY,
)
_notifications = Counter(
    "doseqr_notifications", "Messages to addresses of notifications", ("outcome",), registry=REGISTRY
)
_spans = Counter("doseqr_spans", "Spans given to the collector", ("outcome",), registry=REGISTRY)
_log_lines = Counter("doseqr_log_lines", "Lines logged", ("level",), registry=REGISTRY)

ProcessCollector(registry=REGISTRY)

# A counter that first appears as 1 has not increased for Prometheus: the alert for it would miss the first.
for _outcome in _NOTIFICATION_OUTCOMES:
    _notifications.labels(_outcome)


def consumption_begins(queue: str) -> None:
    """Begin to count what comes of the messages of a queue, from zero."""
    for outcome in _MESSAGE_OUTCOMES:
        _messages.labels(queue, outcome)


def message_begins(queue: str) -> None:
    """Count a message that is in hand now."""
    _in_progress.labels(queue).inc()


def message_ends(queue: str, outcome: str, duration_s: float) -> None:
    """Count a message that is no longer in hand: done, dead_lettered, requeued, defect or lost."""
    _in_progress.labels(queue).dec()
    _messages.labels(queue, outcome).inc()
    _message_seconds.labels(queue).observe(duration_s)


def request_ends(method: str, endpoint: str, status: int, duration_s: float) -> None:
    """Count a request; `endpoint` is the name of the route, never the path."""
    known = method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"
    _requests.labels(known, endpoint, str(status)).inc()
    _request_seconds.labels(endpoint).observe(duration_s)


def line_logged(level: str) -> None:
    """Count a line of the log."""
    _log_lines.labels(level).inc()


def spans_exported(outcome: str, number: int) -> None:
    """Count spans: exported, or failed, if the collector did not take them."""
    _spans.labels(outcome).inc(number)


def notification_ends(outcome: str) -> None:
    """Count an attempt to send: sent, failed, given_up, interrupted or lost."""
    _notifications.labels(outcome).inc()


def pool_metrics(in_use: int, idle: int, allowed: int) -> Iterator[Metric]:
    """Yield the connections to the database."""
    connections = GaugeMetricFamily(
        "doseqr_database_connections", "Connections to the database", labels=["state"]
    )
    connections.add_metric(["in_use"], in_use)
    connections.add_metric(["idle"], idle)
    yield connections
    yield GaugeMetricFamily(
        "doseqr_database_connections_allowed",
        "Connections that may be in use at once; more are waited for",
        allowed,
    )
