"""Reads dose reports in a process of its own: `python -m services.store.dose_reports.reader_main DESCRIPTOR`.

Reading one takes some milliseconds of Python, for which an association beside it would have to wait; and
whatever a report does to its reader, those that receive do not notice.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

from services.store.dose_reports.read_result import ReadResult
from shared.dose.reports import read_summary
from shared.dose.tree import UnreadableReportError

#: Address space of the process in bytes; the largest reports that are read take half of it.
MAX_ADDRESS_SPACE_BYTES = 512 << 20
#: Seconds of processor time for one report.
MAX_CPU_S = 60
#: Reception comes first: this one takes what processors have left.
NICENESS = 19
#: That of its session, and where the kernel takes it: a tenth of what another session gets at least.
SESSION_NICENESS = 10
AUTOGROUP = Path("/proc/self/autogroup")


class CpuLimitError(Exception):
    """A report took more processor time than any report may."""


def read(path: Path, max_cpu_s: int = MAX_CPU_S) -> ReadResult:
    """Return what a report holds, or why it cannot be read; never raises for what is in it."""
    try:
        with limited_cpu(max_cpu_s):
            return ReadResult(summary=read_summary(path).to_json(), unreadable="", error="")
    except (MemoryError, CpuLimitError):
        return ReadResult(summary=None, unreadable="too_costly", error="")
    except UnreadableReportError as error:
        return ReadResult(summary=None, unreadable=str(error), error="")
    except OSError as error:
        return ReadResult(summary=None, unreadable="no_file", error=type(error).__name__)
    except Exception as error:  # noqa: BLE001 - as the comment says
        # One report must not keep the others from being read; the error's text may quote values.
        return ReadResult(summary=None, unreadable="defect", error=type(error).__name__)


def limit_memory() -> None:
    """Let this process fail with MemoryError beyond its bound."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_SPACE_BYTES, MAX_ADDRESS_SPACE_BYTES))


def yield_processors() -> None:
    """Let everything else that wants a processor go first.

    Linux shares processors between sessions first (`sched_autogroup_enabled`, sched(7)), and the niceness of
    a process counts within its own: this one leads its session, which has a niceness of its own.
    """
    os.nice(NICENESS)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # no Linux, or one without these groups
            AUTOGROUP.write_text(str(SESSION_NICENESS))


@contextmanager
def limited_cpu(cpu_s: int = MAX_CPU_S) -> Iterator[None]:
    """Raise CpuLimitError in the main thread where the block takes more processor time than that."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft_s = int(usage.ru_utime + usage.ru_stime) + 1 + cpu_s
    _, hard_s = resource.getrlimit(resource.RLIMIT_CPU)
    if hard_s != resource.RLIM_INFINITY:
        soft_s = min(soft_s, hard_s)
    before = signal.signal(signal.SIGXCPU, _over)
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (soft_s, hard_s))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (hard_s, hard_s))
        signal.signal(signal.SIGXCPU, before)


def _over(number: int, frame: FrameType | None) -> None:
    del number, frame
    # The signal comes again each second: one exception is enough.
    _, hard_s = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (hard_s, hard_s))
    raise CpuLimitError


def main() -> int:
    """Read whatever file is named over the connection, until its other end is closed."""
    yield_processors()
    limit_memory()
    connection: Connection[bytes, bytes] = Connection(int(sys.argv[1]))
    with suppress(EOFError, ConnectionError):
        while True:
            path = Path(os.fsdecode(connection.recv_bytes()))
            connection.send_bytes(json.dumps(read(path)).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
