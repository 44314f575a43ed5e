"""The Kubernetes files: rendered, and compared with the settings, services, users and metrics of the code."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import text

from services.cli.commands.serve import Service
from shared.broker.definitions import ROLES, user_of
from shared.broker.topology import Names
from shared.configuration.environment import FILE_SUFFIX
from shared.service import HEALTH_PORTS
from shared.settings import PREFIX, Settings

FOLDER = Path(__file__).parents[3] / "deploy" / "kubernetes"
OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())
NAMES = {PREFIX + name.upper() for name in Settings.model_fields}
Resource = dict[str, Any]


@functools.cache
def rendered(overlay: str) -> list[Resource]:
    """Return what kustomize makes of an overlay."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    command = [kubectl, "kustomize", str(FOLDER / "overlays" / overlay)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(overlay: str, *kinds: str) -> list[Resource]:
    return [resource for resource in rendered(overlay) if resource["kind"] in kinds]


def pods(overlay: str) -> list[Resource]:
    return of_kind(overlay, "Deployment", "StatefulSet")


def services(overlay: str) -> list[Resource]:
    return of_kind(overlay, "Deployment")


def container(workload: Resource) -> Resource:
    (found,) = workload["spec"]["template"]["spec"]["containers"]
    return dict(found)


def selects(selector: dict[str, str], workload: Resource) -> bool:
    labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return selector.items() <= labels.items()


@pytest.fixture(params=OVERLAYS)
def overlay(request) -> str:
    """Each overlay."""
    return str(request.param)


def test_every_service_is_a_deployment_that_runs_it(overlay):
    # When
    commands = {workload["metadata"]["name"]: container(workload)["args"] for workload in services(overlay)}
    # Then
    assert commands == {service.value: ["serve", service.value] for service in Service}


def test_everything_is_in_the_namespace_of_the_installation(overlay):
    assert {resource["metadata"]["namespace"] for resource in rendered(overlay)} == {"doseqr"}


def test_variables_are_settings_and_no_secrets(overlay):
    # Given
    (settings,) = [entry for entry in of_kind(overlay, "ConfigMap") if entry["metadata"]["name"] == "doseqr"]
    # When
    variables = settings["data"] | {
        entry["name"]: entry["value"]
        for workload in services(overlay)
        for entry in container(workload)["env"]
    }
    # Then
    assert {name.removesuffix(FILE_SUFFIX) for name in variables} <= NAMES
    assert not [
        name
        for name in variables
        if re.search("PASSWORD|SESSION_KEY", name) and not name.endswith(FILE_SUFFIX)
    ]
    values = {name.removeprefix(PREFIX).lower(): value for name, value in settings["data"].items()}
    Settings(**{name: value for name, value in values.items() if not name.endswith("_file")})


def test_probes_call_the_health_port_of_the_service(overlay):
    # Given
    (settings,) = [entry for entry in of_kind(overlay, "ConfigMap") if entry["metadata"]["name"] == "doseqr"]
    first = int(settings["data"]["DOSEQR_HEALTH_PORT"])
    for workload in services(overlay):
        # When
        runs = container(workload)
        ports = {port["name"]: port["containerPort"] for port in runs["ports"]}
        # Then
        assert ports["health"] == first + HEALTH_PORTS.index(workload["metadata"]["name"])
        assert runs["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": "health"}
        assert runs["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "health"}


def test_pods_have_no_rights_and_are_bounded(overlay):
    for workload in pods(overlay):
        # When
        pod, runs = workload["spec"]["template"]["spec"], container(workload)
        # Then
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        assert runs["securityContext"]["allowPrivilegeEscalation"] is False
        assert runs["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert runs["resources"]["limits"]["memory"]
    assert all(
        container(service)["securityContext"]["readOnlyRootFilesystem"] for service in services(overlay)
    )


def test_work_in_hand_has_time_to_end(overlay):
    for workload in services(overlay):
        seconds = workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert seconds > Settings.model_fields["grace"].default + 10


def test_each_service_gets_the_password_of_its_own_user_alone(overlay):
    # Given
    users = {role.name: user_of(Names("doseqr"), role) for role in ROLES}
    for workload in services(overlay):
        user = users[workload["metadata"]["name"]]
        # When
        environment = {entry["name"]: entry["value"] for entry in container(workload)["env"]}
        volumes = {volume["name"]: volume for volume in workload["spec"]["template"]["spec"]["volumes"]}
        # Then
        assert environment["DOSEQR_AMQP_USER"] == user
        assert environment["DOSEQR_AMQP_PASSWORD_FILE"] == f"/run/doseqr/broker/{user}"
        assert volumes["broker"]["secret"]["items"] == [{"key": user, "path": user}]


def test_mounts_are_of_volumes_that_exist(overlay):
    for workload in pods(overlay):
        spec = workload["spec"]["template"]["spec"]
        named = {volume["name"] for volume in spec["volumes"]}
        named |= {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", ())}
        assert {mount["name"] for mount in container(workload)["volumeMounts"]} <= named


def test_selectors_find_the_pods_that_they_mean(overlay):
    for resource in of_kind(overlay, "Service", "PodDisruptionBudget"):
        selector = resource["spec"]["selector"]
        labels = selector.get("matchLabels", selector)
        operated = resource["metadata"]["name"] == "rabbitmq" and overlay == "cluster"
        found = [workload for workload in pods(overlay) if selects(labels, workload)]
        assert [workload["metadata"]["name"] for workload in found] == (
            [] if operated else [resource["metadata"]["name"]]
        )
    for workload in pods(overlay):
        assert selects(workload["spec"]["selector"]["matchLabels"], workload)


def test_ports_of_services_are_named_by_their_pods(overlay):
    workloads = {workload["metadata"]["name"]: workload for workload in pods(overlay)}
    for service in of_kind(overlay, "Service"):
        ports = {port["name"] for port in container(workloads[service["metadata"]["name"]])["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_nothing_comes_in_or_goes_out_by_default(overlay):
    # When
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of_kind(overlay, "NetworkPolicy")}
    # Then
    assert policies["deny"]["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(policies["deny"])
    open_to_all = {
        name for name, spec in policies.items() if any("from" not in rule for rule in spec.get("ingress", ()))
    }
    assert open_to_all == {"store"}


def test_workers_are_scaled_by_the_view_of_the_database(sqlite_database):
    # Given
    (authentication,) = of_kind("cluster", "TriggerAuthentication")
    for scaled in of_kind("cluster", "ScaledObject"):
        # When
        target = scaled["spec"]["scaleTargetRef"]["name"]
        (trigger,) = scaled["spec"]["triggers"]
        with sqlite_database.read() as session:
            tasks = session.execute(text(trigger["metadata"]["query"])).scalars().all()
        # Then
        assert trigger["type"] == "postgresql"
        assert f"kind = '{target}'" in trigger["metadata"]["query"]
        assert tasks == [0]
        assert trigger["metadata"]["targetQueryValue"] == str(getattr(Settings(), f"{target}_workers"))
        assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]


def test_the_broker_of_a_cluster_pauses_its_minority():
    # When
    (broker,) = of_kind("cluster", "RabbitmqCluster")
    (database,) = [resource for resource in of_kind("cluster", "Cluster") if "cnpg" in resource["apiVersion"]]
    # Then
    assert broker["spec"]["replicas"] == database["spec"]["instances"] == 3
    assert "cluster_partition_handling = pause_minority" in broker["spec"]["rabbitmq"]["additionalConfig"]
    assert broker["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
