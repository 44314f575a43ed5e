"""How long jobs, files and the audit trail stay. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

JOBS, FILES, AUDIT = "jobs", "files", "audit"


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Days for which jobs, files and entries of the audit trail stay at least; 0: for ever."""

    job_days: int = 0
    file_days: int = 0
    #: Files go only until so many bytes of their disk are free; 0: all that are old enough.
    free_goal_bytes: int = 0
    audit_days: int = 0

    def jobs_before(self, now: datetime) -> datetime | None:
        """Return the moment before which jobs must have ended to go; None: none goes."""
        return now - timedelta(days=self.job_days) if self.job_days else None

    def files_before(self, now: datetime) -> datetime | None:
        """Return the moment before which files must have come to go; None: none goes."""
        return now - timedelta(days=self.file_days) if self.file_days else None

    def audit_before(self, now: datetime) -> datetime | None:
        """Return the moment before which entries of the audit trail go; None: none goes."""
        return now - timedelta(days=self.audit_days) if self.audit_days else None
