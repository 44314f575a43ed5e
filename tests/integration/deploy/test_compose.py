"""The compose file: what it says to the services has to be something that they know."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.cli.commands.serve import Service
from shared.broker.definitions import ROLES, user_of
from shared.broker.topology import Names
from shared.configuration.environment import FILE_SUFFIX
from shared.service import HEALTH_PORTS
from shared.settings import PREFIX, Settings

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker-compose.yml"
SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields}
SETTINGS |= {name + FILE_SUFFIX for name in SETTINGS}
#: Read by the library that exports spans.
SETTINGS |= {"OTEL_EXPORTER_OTLP_ENDPOINT"}

_KEY = re.compile(rf"^\s*({PREFIX}\w+):", re.MULTILINE)
_INSERTED = re.compile(rf"\$\{{({PREFIX}\w+)")


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """The file as compose understands it, with the demo."""
    docker = shutil.which("docker")
    version = [docker or "", "compose", "version"]
    if docker is None or subprocess.run(version, check=False, capture_output=True).returncode:
        pytest.skip("no docker with compose")
    profiles = ("--profile", "demo", "--profile", "monitoring")
    command = [docker, "compose", *profiles, "--file", str(COMPOSE), "config", "--format", "json"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return dict(json.loads(printed.stdout))


def ours(composed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the containers of the image."""
    return {
        name: service for name, service in composed["services"].items() if service["image"] == "doseqr:latest"
    }


@pytest.mark.parametrize("pattern", [_KEY, _INSERTED], ids=["environment", "inserted"])
def test_every_variable_of_the_file_is_a_setting(pattern: re.Pattern[str]) -> None:
    # When
    named = set(pattern.findall(COMPOSE.read_text(encoding="utf-8")))

    # Then
    assert named
    assert named <= SETTINGS


def test_variables_of_the_image_are_settings() -> None:
    # When
    named = set(
        re.findall(rf"\b({PREFIX}\w+)=", (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8"))
    )

    # Then
    assert named
    assert named <= SETTINGS


def test_containers_get_only_settings(composed: dict[str, Any]) -> None:
    # When
    named = {name for our in ours(composed).values() for name in our.get("environment") or {}}

    # Then
    assert named <= SETTINGS


def test_each_service_has_a_container_that_runs_and_checks_it(composed: dict[str, Any]) -> None:
    for service in Service:
        # When
        container = ours(composed)[service.value]

        # Then
        assert container["command"] == ["serve", service.value]
        assert container["healthcheck"]["test"][-1] == "/opt/doseqr/healthcheck.py"


def test_containers_can_write_nowhere_but_to_their_data(composed: dict[str, Any]) -> None:
    for container in ours(composed).values():
        # Then
        assert container["read_only"]
        assert container["cap_drop"] == ["ALL"]
        writable = {
            volume["target"] for volume in container.get("volumes", []) if not volume.get("read_only")
        }
        assert writable <= {"/data"} or container["command"][0] == "secrets"


def test_containers_have_time_to_end(composed: dict[str, Any]) -> None:
    for container in ours(composed).values():
        # When
        seconds = int(container["stop_grace_period"].removesuffix("s"))

        # Then
        assert seconds > Settings.model_fields["grace"].default + 10


def test_only_the_store_is_reached_from_other_machines(composed: dict[str, Any]) -> None:
    # When
    published = {
        name: [port.get("host_ip", "") for port in container.get("ports", [])]
        for name, container in composed["services"].items()
    }

    # Then
    assert {name for name, addresses in published.items() if "" in addresses} == {"store"}
    assert {name for name, addresses in published.items() if addresses} == {"store", "web", "grafana"}


def test_no_container_has_a_secret_in_its_environment(composed: dict[str, Any]) -> None:
    for name, container in composed["services"].items():
        for variable, value in (container.get("environment") or {}).items():
            # Then
            is_secret = any(word in variable for word in ("PASSWORD", "KEY", "TOKEN"))
            assert not is_secret or variable.endswith("_FILE") or not value, (name, variable)
            assert ":" not in str(value).partition("//")[2].rpartition("@")[0], (name, variable)


def test_each_service_logs_in_as_its_own_user(composed: dict[str, Any]) -> None:
    # Given
    users = {role.name: user_of(Names("doseqr"), role) for role in ROLES}
    for service in Service:
        # When
        environment = ours(composed)[service.value]["environment"]

        # Then
        assert environment["DOSEQR_AMQP_USER"] == users[service.value]
        assert environment["DOSEQR_AMQP_PASSWORD_FILE"].endswith(f"/broker/{users[service.value]}")


def test_every_container_is_bounded(composed: dict[str, Any]) -> None:
    for name, container in composed["services"].items():
        # Then
        assert container["logging"]["options"]["max-size"], name
        if name not in {"prometheus", "grafana"}:
            assert container["deploy"]["resources"]["limits"]["memory"], name


def test_the_demo_leaves_no_anonymous_volume(composed: dict[str, Any]) -> None:
    # Then
    assert "VOLUME" not in (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    assert not composed["services"]["demo-pacs"].get("volumes")
    for container in composed["services"].values():
        assert all(volume["type"] != "volume" or volume["source"] for volume in container.get("volumes", []))


def test_monitoring_scrapes_the_health_port_of_each_service() -> None:
    # Given
    configuration = (ROOT / "deploy" / "monitoring" / "prometheus.yml").read_text(encoding="utf-8")
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    first = int(re.findall(r"DOSEQR_HEALTH_PORT=(\d+)", dockerfile)[0])

    # When
    scraped = re.findall(r"names: \[(\w+)\], type: A, port: (\d+)", configuration)

    # Then
    assert scraped == [(service, str(first + offset)) for offset, service in enumerate(HEALTH_PORTS)]


def test_the_collector_names_only_parts_that_it_has() -> None:
    # Given
    text = (ROOT / "deploy" / "monitoring" / "collector.yml").read_text(encoding="utf-8")
    collector = yaml.safe_load(text)
    connectors = set(collector["connectors"])
    kinds = {"receivers": connectors, "exporters": connectors, "processors": set[str]()}

    # When
    pipelines = collector["service"]["pipelines"].values()
    unknown = [
        name
        for pipeline in pipelines
        for kind, others in kinds.items()
        for name in pipeline.get(kind, [])
        if name not in {*collector[kind], *others}
    ]

    # Then
    assert unknown == []
    assert set(collector["service"]["extensions"]) == set(collector["extensions"])
    scraped = (ROOT / "deploy" / "monitoring" / "prometheus.yml").read_text(encoding="utf-8")
    assert f"collector:{collector['exporters']['prometheus']['endpoint'].rpartition(':')[2]}" in scraped
