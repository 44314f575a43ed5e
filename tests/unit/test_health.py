"""Health and metrics of a service: one JSON, and the text format of Prometheus."""

from __future__ import annotations

import json
from http import HTTPStatus
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from shared.health import Health, HealthServer, readiness


@pytest.fixture
def served():
    """Health on a port of its own; gives it and its address."""
    health = Health()
    server = HealthServer(health, "127.0.0.1", 0)
    server.start()
    yield health, f"http://127.0.0.1:{server.port}"
    server.stop()


def test_metrics_are_the_text_that_prometheus_reads(served):
    # Given
    health, address = served
    health.add_metrics(lambda: [CounterMetricFamily("doseqr_store_received", "Objects received", 5)])
    # When
    with urlopen(f"{address}/metrics") as response:
        content_type, text = response.headers["Content-Type"], response.read().decode()
    # Then
    assert content_type.startswith("text/plain; version=0.0.4")
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert {sample.name: sample.value for sample in samples}.items() >= {
        "doseqr_build_info": 1.0,
        "doseqr_ready": 1.0,
        "doseqr_store_received_total": 5.0,
    }.items()
    assert "process_cpu_seconds_total" in text
    assert "# TYPE doseqr_store_received_total counter" in text


def test_readiness_names_what_is_wrong(served):
    # Given
    health, address = served
    health.add_check("database", lambda: "its disk is full")
    # When
    with pytest.raises(HTTPError) as failure:
        urlopen(f"{address}/health/ready")
    # Then
    assert failure.value.code == HTTPStatus.SERVICE_UNAVAILABLE
    assert json.loads(failure.value.read()) == {"ready": False, "troubles": {"database": "its disk is full"}}


def test_health_names_the_versions_of_all_parts(served):
    # Given
    _, address = served
    # When
    with urlopen(f"{address}/health") as response:
        body = json.loads(response.read())
    # Then
    assert body["ready"]
    assert {"doseqr", "python", "pynetdicom", "pika"} <= set(body["versions"])


def test_a_service_without_troubles_is_ready():
    assert readiness({}) == (HTTPStatus.OK, {"ready": True, "troubles": {}})
