"""`doseqr` in a process that was forked from one with all modules loaded: records like a fresh one."""

from __future__ import annotations

import tests.e2e.recorder.sitecustomize  # noqa: F401 - records from now on
from services.cli.main import main

__all__ = ["main"]
