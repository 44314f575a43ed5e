"""Each test that a row of the fault matrix names exists and is collected."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.matrix.parts import PARTS

ROOT = Path(__file__).parents[2]
#: Seconds until the collection is given up.
TIMEOUT_S = 100.0


def test_each_named_test_is_collected():
    # Given
    proofs = {row.proof for part in PARTS for row in part.proven}
    modules = sorted({proof.split("::")[0] for proof in proofs})

    # When
    collected = collect(modules)

    # Then
    assert sorted(proofs - collected) == []


def collect(modules: list[str]) -> set[str]:
    """Return the node ids of the tests of these modules, with and without their parameters."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    node_ids = {line for line in ended.stdout.splitlines() if "::" in line}
    return node_ids | {re.sub(r"\[.*$", "", node_id) for node_id in node_ids}
