"""When the search of a PACS is given up: it fails, or finds nothing, whatever is requested.

A PACS that fails whatever the window, and one that holds nothing, must not be searched window by window.
"""

from __future__ import annotations

from datetime import timedelta

from services.query.ledger.finds import FindLog, StudyFinds
from shared.clock import Clock
from shared.dicom.errors import NotNowError, Outcome, PeerError

#: C-FINDs of a job at STUDY level that fail, without one that succeeds, before others wait ...
FAILURES_BEFORE_WAIT = 4
#: ... before the smallest window is tried ...
FAILURES_BEFORE_PROBE = 8
#: ... and before the job fails; other workers may have a request each under way.
MOST_FAILURES = 15

#: Control requests of a job to a node that never named a study; one that did gets as many as it takes.
MOST_CONTROLS_OF_NOTHING = 12

_RETRY_S = 5.0


class FutileSearchError(PeerError):
    """Every C-FIND of a job at STUDY level failed, whatever its window."""

    def __init__(self, error: PeerError, failures: int) -> None:
        super().__init__(
            error.outcome,
            f"{error.detail} (the last of {failures} requests, all of which failed)".strip(),
            status_code=error.status_code,
            http_status=error.http_status,
            permanent=True,
        )


class FailureLimit:
    """Ends the search of a node that fails whatever is requested; used by one task."""

    def __init__(self, log: FindLog, clock: Clock, patience_s: float) -> None:
        self._log = log
        self._clock = clock
        self._patience_s = patience_s
        self._has_succeeded = False
        #: As read since the last request of the task; what others send meanwhile is allowed for.
        self._read: StudyFinds | None = None

    def _finds(self) -> StudyFinds:
        """Return the C-FINDs of the job; none failed once one of them has succeeded."""
        if self._read is None:
            self._has_succeeded = self._has_succeeded or self._log.has_complete_study_find()
            self._read = StudyFinds(0) if self._has_succeeded else self._log.study_finds()
        return self._read

    def needs_probe(self) -> bool:
        """Return whether so many requests failed that the smallest window is to be tried."""
        return self._finds().failed >= FAILURES_BEFORE_PROBE

    def admits_control(self, *, has_studies: bool) -> bool:
        """Return whether a request may be sent only to be compared with another one."""
        return has_studies or self._log.controls() < MOST_CONTROLS_OF_NOTHING

    def admit_task(self) -> None:
        """Let a task wait while the node may only be ill for a moment.

        Raises:
            NotNowError: the task is to wait.
        """
        finds = self._finds()
        if finds.failed < FAILURES_BEFORE_WAIT or finds.first_at is None:
            return
        until = finds.first_at + timedelta(seconds=self._patience_s)
        if self._clock() < until:
            soon = min(until, self._clock() + timedelta(seconds=_RETRY_S))
            raise NotNowError(soon, "the PACS has failed every request so far")

    def admit_request(self) -> None:
        """Check the limit before a C-FIND at STUDY level.

        Raises:
            FutileSearchError: so many failed that another one is futile.
        """
        if self._finds().failed >= MOST_FAILURES:
            raise self.error()
        self._read = None

    def error(self) -> FutileSearchError:
        """Return the error that ends the job."""
        finds = self._log.study_finds()
        return FutileSearchError(finds.last_error or PeerError(Outcome.ABORTED, ""), finds.failed)
