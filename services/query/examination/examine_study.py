"""Examine one study at SERIES and IMAGE level, as far as the rules need it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from services.query.examination.missing_studies import (
    cut_off,
    lacking_objects,
    lacking_series,
    lacks_its_report,
    modality_not_shown,
    object_shortfalls,
    report_not_returned,
    shows_no_modality,
)
from services.query.examination.prefetch import PrefetchedMatches
from services.query.find_scu import FindScu, OtherParentError
from services.query.rules.decide import decide
from services.query.rules.model import (
    SR_CODE,
    Decided,
    KnownObjects,
    Missing,
    Needs,
    Outcome,
    StudyDecision,
)
from shared.contract.criteria import Criteria
from shared.dicom.errors import PeerError
from shared.dicom.query.matches import ObjectMatch, SeriesMatch, StudyMatch

T = TypeVar("T")

#: Rounds that a study can need: its series, its reports, first images or counts, known objects.
_MOST_ROUNDS = 10


class RefusedReportError(PeerError):
    """The node refuses to return the objects of a series that may be a dose report."""

    def __init__(self, error: PeerError) -> None:
        super().__init__(
            error.outcome,
            f"{error.detail}; the PACS refuses to name the objects of a structured report, and the option"
            " --empty-sr gets the whole series",
            status_code=error.status_code,
            http_status=error.http_status,
            permanent=True,
        )


@dataclass(slots=True)
class StudyExamination:
    """The examination of one study; the requests that it needs go out one by one."""

    criteria: Criteria
    study: StudyMatch
    known: KnownObjects
    scu: FindScu
    prefetched: PrefetchedMatches
    series: Sequence[SeriesMatch] | None = None
    objects: dict[str, Sequence[ObjectMatch]] = field(default_factory=dict)
    #: Whether what fails now has failed before.
    is_last_try: bool = False
    #: The number of matches at which the node stops with success.
    cap: int | None = None

    def perform(self) -> Outcome:
        """Request what the rules need until they can decide.

        Raises:
            PeerError: a result is not complete.
            InterruptedWorkError: stopping was requested.
        """
        for _ in range(_MOST_ROUNDS):
            verdict = decide(self.criteria, self.study, self.series, self.objects, self.known)
            if isinstance(verdict, StudyDecision) and lacks_its_report(self.study, verdict):
                return report_not_returned(self.study)
            if isinstance(verdict, StudyDecision) and shows_no_modality(verdict, self.objects):
                return modality_not_shown(self.study)
            if isinstance(verdict, StudyDecision):
                return Decided(verdict, self.series or [])
            missing = self._request(verdict)
            if missing is not None:
                return missing
        raise AssertionError("the rules need more without end")

    def _request(self, needs: Needs) -> Missing | None:
        if needs.series:
            return self._request_series()
        for series_instance_uid in sorted(needs.images):
            missing = self._request_objects(series_instance_uid)
            if missing is not None:
                return missing
        return None

    def _request_series(self) -> Missing | None:
        uid = self.study.study_instance_uid
        self.series = _twice_if_short(
            self.prefetched.take_series(uid),
            lambda: self.scu.find_series(uid),
            lambda series: lacking_series(self.study, series) is not None,
        )
        if self.study.series_count is None and self._may_be_cut(len(self.series)):
            return cut_off(self.study, len(self.series), "series")
        return lacking_series(self.study, self.series)

    def _request_objects(self, series_instance_uid: str) -> Missing | None:
        uid, series = self.study.study_instance_uid, self.series or []
        self.objects[series_instance_uid] = _twice_if_short(
            self.prefetched.take_objects(uid, series_instance_uid),
            lambda: self._find_objects(series_instance_uid),
            lambda objects: bool(object_shortfalls(series, {series_instance_uid: objects})),
        )
        own = {series_instance_uid: self.objects[series_instance_uid]}
        counts = {entry.series_instance_uid: entry.count() for entry in series}
        if counts.get(series_instance_uid) is None and self._may_be_cut(len(own[series_instance_uid])):
            return cut_off(self.study, len(own[series_instance_uid]), "objects of one of them")
        return lacking_objects(self.study, series, own)

    def _may_be_cut(self, matches: int) -> bool:
        return self.cap is not None and matches == self.cap

    def _find_objects(self, series_instance_uid: str) -> Sequence[ObjectMatch]:
        """Return the objects; none where the node refuses the IMAGE level and unknown SRs are wanted."""
        uid = self.study.study_instance_uid
        try:
            return self.scu.find_objects(uid, series_instance_uid)
        except PeerError as error:
            if isinstance(error, OtherParentError) and self.criteria.empty_sr:
                return []
            refused = error.status_code is not None and (error.permanent or self.is_last_try)
            if not refused or not self._may_be_report(series_instance_uid):
                raise
            if not self.criteria.empty_sr:
                raise RefusedReportError(error) from error
            return []

    def _may_be_report(self, series_instance_uid: str) -> bool:
        return any(
            entry.series_instance_uid == series_instance_uid and entry.code() in (SR_CODE, None)
            for entry in self.series or ()
        )


def _twice_if_short(
    prefetched: Sequence[T] | None, find: Callable[[], Sequence[T]], short: Callable[[Sequence[T]], bool]
) -> Sequence[T]:
    """Return the matches, requested once more if they fall short of what was announced."""
    matches = find() if prefetched is None else prefetched
    return find() if short(matches) else matches
