"""Every combination of the Kubernetes components is rendered and held against the schemas of Kubernetes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from shared.settings import Settings

FOLDER = Path(__file__).parents[3] / "deploy" / "kubernetes"
BROKERS = ("single-node", "cluster")
OPTIONAL = ("network-policy", "keda", "monitoring")
COMBINATIONS = [
    (broker, *(name for name, chosen in zip(OPTIONAL, chosen_ones, strict=True) if chosen))
    for broker in BROKERS
    for chosen_ones in product((False, True), repeat=len(OPTIONAL))
]
#: Kinds of operators, of which Kubernetes has no schema.
OPERATED = {"RabbitmqCluster", "Cluster", "ScaledObject", "TriggerAuthentication", "PodMonitor"}


@pytest.fixture(scope="module")
def valid() -> set[str]:
    """Resources that were validated already: most are in many combinations."""
    return set()


def rendered(folder: Path, components: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return what kustomize makes of the base with these components."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    relative = os.path.relpath(FOLDER, folder)
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "doseqr",
        "resources": [f"{relative}/base"],
        "components": [f"{relative}/components/{name}" for name in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    command = [kubectl, "kustomize", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.parametrize("components", COMBINATIONS, ids="+".join)
def test_a_combination_of_components_is_valid(components, tmp_path, valid):
    # When
    resources = rendered(tmp_path, components)
    # Then
    for resource in resources:
        text = json.dumps(resource, sort_keys=True)
        if resource["kind"] not in OPERATED and text not in valid:
            kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)
            valid.add(text)
    names = [(resource["kind"], resource["metadata"]["name"]) for resource in resources]
    assert len(names) == len(set(names))


def test_pods_outlive_the_grace_of_their_services(tmp_path):
    # Given
    grace_s = Settings.model_fields["grace"].default
    for resource in rendered(tmp_path, ("cluster", *OPTIONAL)):
        if resource["kind"] == "Deployment":
            # When
            pod = resource["spec"]["template"]["spec"]
            # Then
            assert pod["terminationGracePeriodSeconds"] > grace_s
