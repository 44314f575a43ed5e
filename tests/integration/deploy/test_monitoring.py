"""The profile monitoring: its files hold what Prometheus, Grafana and the collector document."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "deploy" / "monitoring"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((MONITORING / "grafana" / "doseqr.json").read_text(encoding="utf-8"))

#: Units of Grafana that the panels use, by their ids.
UNITS = {"short", "s", "bytes", "decbytes", "percentunit", "reqps", "ops", "none"}

#: What each part of the collector's configuration may hold, as its page documents it.
COLLECTOR_KEYS: dict[str, set[str]] = {
    "receivers.otlp": {"protocols"},
    "receivers.otlp.protocols": {"http", "grpc"},
    "receivers.otlp.protocols.http": {"endpoint", "tls", "cors", "traces_url_path"},
    "processors.memory_limiter": {"check_interval", "limit_mib", "spike_limit_mib", "limit_percentage"},
    "processors.batch": {"timeout", "send_batch_size", "send_batch_max_size"},
    "connectors.spanmetrics": {"namespace", "histogram", "dimensions", "metrics_flush_interval"},
    "connectors.spanmetrics.histogram": {"explicit", "exponential", "unit", "disable"},
    "connectors.spanmetrics.histogram.explicit": {"buckets"},
    "exporters.debug": {"verbosity", "sampling_initial", "sampling_thereafter"},
    "exporters.prometheus": {"endpoint", "namespace", "metric_expiration", "send_timestamps"},
    "extensions.health_check": {"endpoint", "path", "tls"},
}


def mounts(service: str) -> dict[Path, str]:
    """Return the files of the repository that a container gets, and where it has them."""
    pairs = (volume.split(":") for volume in COMPOSE["services"][service]["volumes"] if volume[0] == ".")
    return {ROOT / source: target for source, target, *_ in pairs}


def panels() -> Iterator[dict[str, Any]]:
    yield from (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def test_the_dashboard_is_of_the_model_that_grafana_imports() -> None:
    # Then
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", DASHBOARD["uid"])
    assert DASHBOARD["title"]
    assert isinstance(DASHBOARD["schemaVersion"], int)
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    for panel in DASHBOARD["panels"]:
        assert panel["type"] in {"row", "stat", "timeseries"}
        assert set(panel["gridPos"]) == {"x", "y", "w", "h"}
    for panel in panels():
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)) > 0, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]


def test_each_panel_reads_the_source_that_is_provisioned() -> None:
    # Given
    provisioned = yaml.safe_load((MONITORING / "grafana" / "datasource.yml").read_text(encoding="utf-8"))
    (source,) = provisioned["datasources"]
    # Then
    assert {(panel["datasource"]["type"], panel["datasource"]["uid"]) for panel in panels()} == {
        (source["type"], source["uid"])
    }
    # Grafana would take the name of a variable for its value if there is no such variable.
    assert not DASHBOARD.get("templating", {}).get("list")
    assert not [expression for expression in expressions() if "$" in expression]
    host, _, port = source["url"].partition("//")[2].partition(":")
    assert host in COMPOSE["services"]
    assert port == "9090"


def test_provisioned_files_lie_where_grafana_reads_them() -> None:
    # Given
    targets = mounts("grafana")
    folder = MONITORING / "grafana"
    (provider,) = yaml.safe_load((folder / "dashboards.yml").read_text(encoding="utf-8"))["providers"]
    # Then
    assert (
        Path(targets[folder / "datasource.yml"]).parent.as_posix() == "/etc/grafana/provisioning/datasources"
    )
    assert (
        Path(targets[folder / "dashboards.yml"]).parent.as_posix() == "/etc/grafana/provisioning/dashboards"
    )
    assert Path(targets[folder / "doseqr.json"]).parent.as_posix() == provider["options"]["path"]
    for service in ("prometheus", "collector", "grafana"):
        assert [file for file in mounts(service) if not file.is_file()] == []


def test_a_legend_names_only_labels_that_its_numbers_keep() -> None:
    for panel in panels():
        for target in panel["targets"]:
            # When
            named = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", target.get("legendFormat", "")))
            kept = {
                label.strip()
                for labels in re.findall(r"\bby \(([^)]*)\)", target["expr"])
                for label in labels.split(",")
            }
            # Then
            assert named <= kept, panel["title"]


def test_the_collector_is_given_nothing_that_is_not_documented() -> None:
    # Given
    collector = yaml.safe_load((MONITORING / "collector.yml").read_text(encoding="utf-8"))
    found: dict[str, set[str]] = {}

    def collect(path: str, value: object) -> None:
        if isinstance(value, dict):
            found[path] = set(value)
            for key, inner in value.items():
                collect(f"{path}.{key}", inner)

    for kind in ("receivers", "processors", "connectors", "exporters", "extensions"):
        for name, options in collector[kind].items():
            collect(f"{kind}.{name}", options or {})
    # Then
    assert set(found) == set(COLLECTOR_KEYS)
    assert {
        path: keys - COLLECTOR_KEYS[path] for path, keys in found.items() if keys - COLLECTOR_KEYS[path]
    } == {}
    # The limiter has to come first: what is behind it holds memory already.
    for pipeline in collector["service"]["pipelines"].values():
        assert pipeline.get("processors", ["memory_limiter"])[0] == "memory_limiter"


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool")
    return found


def test_prometheus_understands_its_configuration_and_all_expressions(promtool: str, tmp_path: Path) -> None:
    # Given: each expression of the dashboard as a rule
    configuration = (MONITORING / "prometheus.yml").read_text(encoding="utf-8")
    alerts = mounts("prometheus")[MONITORING / "alerts.yml"]
    assert alerts in configuration
    (tmp_path / "prometheus.yml").write_text(configuration.replace(alerts, str(MONITORING / "alerts.yml")))
    rules = [{"record": f"panel:{place}", "expr": text} for place, text in enumerate(expressions())]
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    # When
    checks = [
        subprocess.run([promtool, "check", *what], capture_output=True, text=True, timeout=30, check=False)
        for what in (
            ("config", str(tmp_path / "prometheus.yml")),
            ("rules", str(tmp_path / "panels.yml")),
        )
    ]
    # Then
    for check in checks:
        assert check.returncode == 0, check.stdout + check.stderr


def test_each_alert_fires_when_it_should_and_only_then(promtool: str) -> None:
    # Given
    tests = Path(__file__).parent / "alerts_test.yml"
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    expected = [
        (case["alertname"], bool(case.get("exp_alerts")))
        for test in yaml.safe_load(tests.read_text(encoding="utf-8"))["tests"]
        for case in test["alert_rule_test"]
    ]
    # When
    run = subprocess.run(
        [promtool, "test", "rules", str(tests)], capture_output=True, text=True, timeout=30, check=False
    )
    # Then
    assert {(rule["alert"], fires) for rule in rules for fires in (True, False)} == set(expected)
    assert run.returncode == 0, run.stdout + run.stderr
