"""The outcome of examining a study: decided, or missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.query.rules.model import StudyDecision
from shared.contract.reasons import Reason
from shared.dicom.query.matches import SeriesMatch


@dataclass(frozen=True, slots=True)
class Decided:
    """A decided study with its series, empty where the study level was enough."""

    decision: StudyDecision
    series: Sequence[SeriesMatch] = ()

    @property
    def study_instance_uid(self) -> str:
        """The study."""
        return self.decision.study_instance_uid


@dataclass(frozen=True, slots=True)
class Missing:
    """A study that could not be examined, and why."""

    study_instance_uid: str
    reason: Reason
    detail: str


Outcome = Decided | Missing
