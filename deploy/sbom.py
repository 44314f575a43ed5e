"""Print the bill of materials of the image: CycloneDX 1.5, from the pinned requirements with their hashes."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;]+)(.*)$", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def components(requirements: str) -> list[dict[str, object]]:
    """Return a component for each pinned distribution."""
    return [
        {
            "type": "library",
            "bom-ref": purl(name, version),
            "name": name,
            "version": version,
            "purl": purl(name, version),
            "hashes": [{"alg": "SHA-256", "content": digest} for digest in _HASH.findall(rest)],
        }
        for name, version, rest in _PINNED.findall(requirements.replace("\\\n", " "))
    ]


def purl(name: str, version: str) -> str:
    """Return the package URL of a distribution of Python."""
    return f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"


def document() -> dict[str, object]:
    """Return the whole document; the same input gives the same text."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = components((ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8"))
    reference = purl(project["name"], project["version"])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": reference,
                "name": project["name"],
                "version": project["version"],
                "purl": reference,
            }
        },
        "components": found,
        "dependencies": [
            {"ref": reference, "dependsOn": sorted(str(component["bom-ref"]) for component in found)}
        ],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2) + "\n")
