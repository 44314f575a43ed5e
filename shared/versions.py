"""The versions of DoseQR and of what it runs on."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version as version_of

#: Distributions whose versions matter when a peer, the broker or the database misbehaves.
DEPENDENCIES = ("pynetdicom", "pydicom", "SQLAlchemy", "pika")


@cache
def own_version() -> str:
    """Return the version of DoseQR; it is from pyproject.toml."""
    return version_of("doseqr")


def versions() -> dict[str, str]:
    """Return the versions by name, that of DoseQR first."""
    return {
        "doseqr": own_version(),
        "python": platform.python_version(),
        **{name.lower(): version_of(name) for name in DEPENDENCIES},
    }
