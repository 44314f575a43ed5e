"""Reads dose reports in a process of its own: `python -m services.store.dose_reports.reader_main DESCRIPTOR`.

Reading one takes some milliseconds of Python, for which an association beside it would have to wait; and
whatever a report does to its reader, those that receive do not notice.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypedDict

from shared.dose.reports import read_summary
from shared.dose.tree import UnreadableReportError

#: Reception comes first: this one takes what processors have left.
NICENESS = 19


class ReadResult(TypedDict):
    """What came of reading one report."""

    summary: dict[str, Any] | None
    #: Why there is none, in one word.
    unreadable: str
    #: Name of the exception that nobody expected.
    error: str


def read(path: Path) -> ReadResult:
    """Return what a report says, or why it does not; never raises for what is in it."""
    try:
        return ReadResult(summary=read_summary(path).to_json(), unreadable="", error="")
    except UnreadableReportError as error:
        return ReadResult(summary=None, unreadable=str(error), error="")
    except OSError as error:
        return ReadResult(summary=None, unreadable="no_file", error=type(error).__name__)
    except Exception as error:  # noqa: BLE001 - as the comment says
        # One report must not keep the others from being read; the error's text may quote values.
        return ReadResult(summary=None, unreadable="defect", error=type(error).__name__)


def main() -> int:
    """Read whatever file is named over the connection, until its other end is closed."""
    os.nice(NICENESS)
    connection: Connection[bytes, bytes] = Connection(int(sys.argv[1]))
    with suppress(EOFError, ConnectionError):
        while True:
            path = Path(os.fsdecode(connection.recv_bytes()))
            connection.send_bytes(json.dumps(read(path)).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
