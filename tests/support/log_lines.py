"""Where log lines of services in this process go while nobody has configured the log.

structlog's own default writes to standard output, where a command under test prints its JSON, and renders
each traceback for tens of milliseconds.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

import structlog


def log_to_standard_error() -> None:
    """Let each line go to what is standard error when it is written: pytest and tests replace that."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=repr),
        ],
        logger_factory=lambda *_: structlog.PrintLogger(_stream()),
    )


def _stream() -> TextIO:
    """Return standard error; between tests, what a worker of pytest writes there would be among its dots."""
    uncaptured = sys.stderr is sys.__stderr__ and "PYTEST_XDIST_WORKER" in os.environ
    return io.StringIO() if uncaptured else sys.stderr
