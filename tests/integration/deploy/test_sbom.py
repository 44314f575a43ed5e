"""The bill of materials names what is installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_pinned_distribution_is_in_the_bill_with_its_hashes() -> None:
    # Given
    pinned = re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[.*\])?==(\S+)", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE
    )
    # When
    printed = subprocess.run(
        [sys.executable, str(ROOT / "deploy/sbom.py")], check=True, capture_output=True, text=True, timeout=30
    ).stdout
    bill = json.loads(printed)
    # Then
    assert len(pinned) > 30
    assert [(component["name"], component["version"]) for component in bill["components"]] == pinned
    assert all(component["hashes"] for component in bill["components"])
    assert bill["metadata"]["component"]["version"] == version("doseqr")
