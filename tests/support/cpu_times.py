"""What each test file costs the processor, where TEST_CPU is set: its worker, and what that started.

A broker and a PostgreSQL that the workers of a run share (session_servers.py) belong to no file.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest

#: Names the file that gets a line for each test; the table of test files is printed.
VARIABLE = "TEST_CPU"
_PROPERTY = "cpu_s"
_TICKS = os.sysconf("SC_CLK_TCK")


def pytest_configure(config: pytest.Config) -> None:
    """Measure if that is wanted."""
    if os.environ.get(VARIABLE):
        config.pluginmanager.register(CpuTimes(Path(os.environ[VARIABLE])))


def used_s(pid: int) -> float:
    """Return the user and system seconds of a process, of its descendants, and of those that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return 0.0
    children = [child for thread in threads for child in _children_of(thread)]
    # utime, stime, cutime, cstime of proc(5)
    return sum(map(int, fields[11:15])) / _TICKS + sum(used_s(int(child)) for child in children)


def _children_of(thread: Path) -> list[str]:
    try:
        return (thread / "children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):  # a thread that has ended has none
        return []


class CpuTimes:
    """Measures in the process that runs a test; prints in the one that reports."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._used_s: float | None = None
        self._wall_s: defaultdict[str, float] = defaultdict(float)
        self._cpu_s: dict[str, float] = {}

    def pytest_runtest_protocol(self) -> None:
        """Begin with the first test: what was imported before it belongs to none."""
        if self._used_s is None:
            self._used_s = used_s(os.getpid())

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Charge a test, at its end, with what was used since the end of the one before it."""
        if call.when == "teardown" and self._used_s is not None:
            before_s, self._used_s = self._used_s, used_s(os.getpid())
            item.user_properties.append((_PROPERTY, self._used_s - before_s))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the figures of a test, from whichever process it ran in."""
        self._wall_s[report.nodeid] += report.duration
        for name, value in report.user_properties:
            if name == _PROPERTY and isinstance(value, float):
                self._cpu_s[report.nodeid] = value

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the test files, those that cost most first, and write down all tests."""
        files: defaultdict[str, list[str]] = defaultdict(list)
        for test in self._cpu_s:
            files[test.partition("::")[0]].append(test)
        rows = [
            (sum(map(self._cpu_s.__getitem__, tests)), sum(map(self._wall_s.__getitem__, tests)), file, tests)
            for file, tests in files.items()
        ]
        terminalreporter.section("CPU seconds, seconds, tests, file")
        for cpu_s, wall_s, file, tests in sorted(rows, reverse=True):
            terminalreporter.line(f"{cpu_s:8.1f} {wall_s:8.1f} {len(tests):5} {file}")
        tests_s, all_s = sum(self._cpu_s.values()), used_s(os.getpid())
        terminalreporter.line(f"{tests_s:8.1f} in tests, {all_s:.1f} with imports and what the workers share")
        lines = [f"{cpu_s:8.2f} {self._wall_s[test]:8.2f} {test}\n" for test, cpu_s in self._cpu_s.items()]
        self._path.write_text("".join(sorted(lines, reverse=True)))
