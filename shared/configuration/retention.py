"""Settings of how long jobs, files and the audit trail stay."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from shared.retention.policy import RetentionPolicy

#: Recurring queries cover the days of the last week again, and rely on what was decided then.
JOB_DAYS_MIN = 14
#: Who may set it for a moment must not be able to remove the traces of yesterday with it.
AUDIT_DAYS_MIN = 90


def _valid_job_days(value: int) -> int:
    if 0 < value < JOB_DAYS_MIN:
        raise ValueError(f"expected 0 or at least {JOB_DAYS_MIN}")
    return value


def _valid_audit_days(value: int) -> int:
    if 0 < value < AUDIT_DAYS_MIN:
        raise ValueError(f"expected 0 or at least {AUDIT_DAYS_MIN}")
    return value


class RetentionSettings(BaseSettings):
    """After how many days jobs and files are removed, by default never, and entries of the audit trail."""

    job_retention_days: Annotated[int, AfterValidator(_valid_job_days)] = Field(
        0,
        ge=0,
        le=36500,
        description="Days after its end for which a job stays with all that it found; then what it proves is "
        "folded into numbers. 0: for ever; otherwise at least 14.",
    )
    file_retention_days: int = Field(
        0,
        ge=0,
        le=36500,
        description="Days for which a received file stays at least; then it may be removed, those that were "
        "handed over first. 0: for ever.",
    )
    file_retention_free_bytes: int = Field(
        0,
        ge=0,
        description="Old files are removed only until so many bytes of their disk are free; 0: all of them.",
    )

    audit_retention_days: Annotated[int, AfterValidator(_valid_audit_days)] = Field(
        1095,
        ge=0,
        le=36500,
        description="Days for which an entry of the audit trail stays. 0: for ever; otherwise at least 90.",
    )

    @property
    def retention(self) -> RetentionPolicy:
        """How long jobs, files and the audit trail stay."""
        return RetentionPolicy(
            self.job_retention_days,
            self.file_retention_days,
            self.file_retention_free_bytes,
            self.audit_retention_days,
        )
