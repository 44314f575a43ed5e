"""The compose file: what it says to the services has to be something that they know."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from services.cli.commands.serve import Service
from shared.settings import PREFIX, Settings

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker-compose.yml"
SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields}

_KEY = re.compile(rf"^\s*({PREFIX}\w+):", re.MULTILINE)
_INSERTED = re.compile(rf"\$\{{({PREFIX}\w+)")


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """The file as compose understands it, with the demo."""
    docker = shutil.which("docker")
    version = [docker or "", "compose", "version"]
    if docker is None or subprocess.run(version, check=False, capture_output=True).returncode:
        pytest.skip("no docker with compose")
    command = [docker, "compose", "--profile", "demo", "--file", str(COMPOSE), "config", "--format", "json"]
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
    named = {name for our in ours(composed).values() for name in our["environment"]}

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
        assert {volume["target"] for volume in container.get("volumes", [])} <= {"/data"}


def test_containers_have_time_to_end(composed: dict[str, Any]) -> None:
    for container in ours(composed).values():
        # When
        seconds = int(container["stop_grace_period"].removesuffix("s"))

        # Then
        assert seconds > Settings.model_fields["grace"].default + 10


def test_only_the_page_and_the_store_are_reached_from_outside(composed: dict[str, Any]) -> None:
    # When
    open_to_all = {name for name, service in composed["services"].items() if service.get("ports")}

    # Then
    assert open_to_all == {"web", "store"}
