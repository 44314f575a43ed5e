"""One result of a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckState(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was checked, how it ended, and what to do."""

    check: str
    subject: str
    state: CheckState
    detail: str = ""


def ok(check: str, subject: str, detail: str = "") -> CheckResult:
    """Return that something is as it should be."""
    return CheckResult(check, subject, CheckState.OK, detail)


def warning(check: str, subject: str, detail: str) -> CheckResult:
    """Return that something works and may not for long, or not as expected."""
    return CheckResult(check, subject, CheckState.WARNING, detail)


def failed(check: str, subject: str, detail: str) -> CheckResult:
    """Return that something does not work."""
    return CheckResult(check, subject, CheckState.FAILED, detail)
